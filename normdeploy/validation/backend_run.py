"""One backend during a check: its process, its failures, and what has been compared so far."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from normdeploy.backends.catalog import Backend
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure
from normdeploy.inputs.samples import Batch
from normdeploy.validation.compared_outputs import ComparedOutputs
from normdeploy.validation.gate import Gate
from normdeploy.validation.judge import Case
from normdeploy.validation.report import BackendReport, Status, show_nothing

_MEANINGLESS = 0.1
"""Expected rounding, as a share of an output's root mean square, above which a verdict says little. What is
allowed is `factor` times as much: at 0.1, an error has to exceed 43 % of the output's size to be seen in an
output of one element, and 68 % in one of a million."""


class BackendRun:
    """Use it as a context manager: leaving it ends the backend's process.

    Args:
        backend: which one.
        requested: whether it was asked for by name.
    """

    def __init__(self, backend: Backend, requested: bool) -> None:
        self._backend = backend
        self._requested = requested
        self._session: WorkerSession | None = None
        self._loaded = False
        self._seconds = 0.0
        self._failure: BackendFailure | None = None
        self._compared = ComparedOutputs()

    def __enter__(self) -> BackendRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, trace)

    @property
    def wrong_on(self) -> Mapping[str, Array] | None:
        """The first inputs on which an output was wrong."""
        return self._compared.wrong_on

    @property
    def alive(self) -> bool:
        """Whether it can still give results."""
        return self._failure is None

    def start(self, model: Path, timeout: float) -> None:
        """Start its process; a backend that is not available fails here.

        Args:
            model: the model's file.
            timeout: seconds that loading the model may take, and each batch.
        """
        try:
            self._session = self._backend.start(model, timeout)
        except BackendFailure as failure:
            self._failure = failure

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Run one batch and compare each output with the expected one.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them.
            scores: the output that holds class scores, where classes are compared.
            predicted: the reference's classes, likewise.
        """
        if self._session is None or self._failure is not None:
            return
        try:
            with self._timed():
                if not self._loaded:
                    self._session.ready()
                    self._loaded = True
                actual = self._session.run(batch.inputs)
        except BackendFailure as failure:
            self._failure = failure
            return
        self._compared.add(batch, case.judge(actual), actual, case.expected)
        self._compared.count_classes(batch, actual, scores, predicted)

    def report(
        self, labelled: bool, gate: Gate | None = None, reference_accuracy: float | None = None
    ) -> BackendReport:
        """What became of it.

        Args:
            labelled: whether the data has labels, so that predictions were counted.
            gate: decides in place of the numbers, where classes could be compared.
            reference_accuracy: the reference's accuracy, with labels.
        """
        found = self._compared.conclusion(
            labelled, gate if self._failure is None else None, reference_accuracy
        )
        status: Status = "mismatch" if found.wrong else "pass"
        reason = found.reason
        if self._failure is not None:
            status, reason = self._failure.status, self._failure.reason
        elif not found.wrong:
            reason = "; ".join(filter(None, (reason, self._doubt())))
        return BackendReport(
            name=self._backend.name,
            status=status,
            reason=reason,
            requested=self._requested,
            outputs=self._compared.reports,
            accuracy=found.accuracy,
            flips=found.flips,
            gate=found.gate,
            log=self._failure.log if self._failure else (),
            versions=self._session.versions if self._session else {},
            seconds=self._seconds,
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - begin

    def _doubt(self) -> str:
        """A warning where passing means nothing, or where rounding alone may change an output much."""
        if show_nothing(self._compared.reports):
            return "no output has a finite number on these inputs, and nothing could be compared"
        for output in self._compared.reports:
            share = output.comparison.noise_share
            if share is not None and share > _MEANINGLESS:
                return (
                    f"rounding alone moves output '{output.name}' by {share:.0%} of its size here: "
                    "the model amplifies it, and no verdict on it means much"
                )
        return ""
