"""What a backend is, and how one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from normdeploy.errors import NormdeployError

Array = NDArray[Any]

FailureStatus = Literal["crashed", "timeout", "unavailable"]


class Session(Protocol):
    """A runtime that has loaded one model. It lives in the worker process."""

    versions: Mapping[str, str]
    """The runtime's name and version, and those of the libraries that decide its results."""

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """All outputs of the model, each in its own type (those that NumPy lacks as in ml_dtypes)."""
        ...


class SessionFactory(Protocol):
    """Loads a model; named `module:function` in the catalog and imported in the worker process.

    Raises:
        BackendUnavailable, MissingDependencyError: the runtime cannot work on this machine.
    """

    def __call__(self, model: Path) -> Session: ...


class BackendFailure(NormdeployError):
    """A backend gave no result.

    Args:
        status: how it failed.
        reason: one line.
        log: the last lines that the process wrote.
    """

    def __init__(self, status: FailureStatus, reason: str, log: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.status: FailureStatus = status
        self.reason = reason
        self.log = tuple(log)
