"""How a backend is run: one session that is kept, and one for the model with further outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from normdeploy.backends.catalog import Backend
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure

Arrays = Mapping[str, Array]


class KeptSession:
    """Runs a model in one process from call to call. Use it as a context manager, which ends the process.

    Args:
        backend: which one.
        model: the ONNX file.
        timeout: seconds that loading the model may take, and each run.
    """

    def __init__(self, backend: Backend, model: Path, timeout: float) -> None:
        self._backend, self._model, self._timeout = backend, model, timeout
        self._session: WorkerSession | None = None

    def __enter__(self) -> KeptSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, trace)

    def __call__(self, inputs: Arrays) -> Arrays:
        """Run the model; in a new process, if the last one has ended.

        Raises:
            BackendFailure: it gives no answer, and its process has ended.
        """
        restart_clock()
        try:
            if self._session is None:
                self._session = self._backend.start(self._model, self._timeout)
                self._session.ready()
            return self._session.run(inputs)
        except BackendFailure:
            self._session = None
            raise
