"""Every backend's name, and what opens it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from normdeploy.backends.base import BackendFailure
from normdeploy.backends.process import WorkerSession
from normdeploy.errors import MissingDependencyError, UsageError


@dataclass(frozen=True)
class Backend:
    """One runtime in one configuration.

    Args:
        name: what `--backend` takes.
        factory: `module:function` of its `SessionFactory`, imported in the worker only; None where this
            version has no implementation.
        module: what the factory needs to import.
        package: the distribution that brings the module.
        extra: the extra of normdeploy that brings the distribution.
    """

    name: str
    factory: str | None = None
    module: str = ""
    package: str = ""
    extra: str = ""

    def missing(self) -> str | None:
        """Why it cannot be started; None if it can. Imports nothing."""
        if self.factory is None:
            return f"this version of normdeploy has no {self.name} backend yet"
        if self.module and importlib.util.find_spec(self.module) is None:
            return str(MissingDependencyError(self.package, self.extra))
        return None

    def start(self, model: Path, timeout: float, memory_limit: float) -> WorkerSession:
        """Start its process, which begins to load the model.

        Raises:
            BackendFailure: it is not available.
        """
        reason = self.missing()
        if self.factory is None or reason is not None:
            raise BackendFailure("unavailable", reason or "")
        return WorkerSession(self.factory, model, timeout, memory_limit)


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend(
            "onnxruntime", "normdeploy.backends.onnxruntime:open_cpu", "onnxruntime", "onnxruntime", "cpu"
        ),
        Backend("onnxruntime-cuda"),
        Backend("onnxruntime-tensorrt"),
        Backend("tensorrt"),
        Backend("tensorrt-rtx"),
    )
}


def find(name: str) -> Backend:
    """The backend of a name.

    Raises:
        UsageError: there is none.
    """
    try:
        return BACKENDS[name]
    except KeyError:
        raise UsageError(f"there is no backend '{name}': choose from {', '.join(BACKENDS)}") from None
