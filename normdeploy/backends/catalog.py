"""Every backend: its name, what it needs, and how it is started."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendUnavailable, MissingDependencyError, UsageError, suggestion


@dataclass(frozen=True)
class Backend:
    """One runtime in one configuration.

    Args:
        name: what `--backend` takes.
        factory: its `Factory` as `module:function`, which only the worker imports.
        modules: names of the runtime's Python module, of which one has to be installed.
        package: the distribution on PyPI that brings the module.
        extra: the extra of normdeploy that brings the distribution.
        needs_gpu: whether it runs on NVIDIA's GPUs only.
        takes_plugins: whether its factory has an argument `plugins`.
        takes_optimize: whether its factory has an argument `optimize`.
        takes_shapes: whether its factory has an argument `shapes`.
        options: the factory's further arguments.
    """

    name: str
    factory: str
    modules: Sequence[str] = ()
    package: str = ""
    extra: str = ""
    needs_gpu: bool = False
    takes_plugins: bool = False
    takes_optimize: bool = False
    takes_shapes: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def missing(self, *, without_gpu: bool = False) -> str | None:
        """Why it cannot be started, as far as that is known without importing the runtime.

        Args:
            without_gpu: whether it is wanted for something that needs no GPU.

        Returns:
            Everything that is missing, with what to do about it; None if nothing is known to be.
        """
        reasons = []
        if self.modules and not any(importlib.util.find_spec(module) for module in self.modules):
            reasons.append(str(MissingDependencyError(self.package, self.extra)))
        if self.needs_gpu and not without_gpu and not gpu_status().usable:
            reasons.append(gpu_status().detail)
        return "; ".join(reasons) or None

    def with_plugins(self, libraries: Sequence[Path]) -> Backend:
        """The same backend with plugin libraries loaded, if it can use them."""
        if not libraries or not self.takes_plugins:
            return self
        return replace(self, options={**self.options, "plugins": [str(library) for library in libraries]})

    def unoptimized(self) -> Backend | None:
        """The same backend, which runs the graph as it stands; None if it cannot be told to."""
        if not self.takes_optimize:
            return None
        return replace(self, options={**self.options, "optimize": False})

    def with_shapes(self, ranges: Mapping[str, Sequence[Sequence[int]]]) -> Backend:
        """The same backend, prepared for all shapes of a range at once, if it can be.

        Args:
            ranges: the smallest, the usual and the largest shape of each input whose shape is open.
        """
        if not ranges or not self.takes_shapes:
            return self
        return replace(self, options={**self.options, "shapes": ranges})

    def start(self, model: Path, timeout: float) -> WorkerSession:
        """Start its process, which begins to load the model.

        Args:
            model: the ONNX file.
            timeout: seconds that loading the model, and each run, may take.

        Raises:
            BackendUnavailable: something that it needs is missing.
        """
        reason = self.missing()
        if reason is not None:
            raise BackendUnavailable(reason)
        return WorkerSession(self.factory, model, timeout, self.options)


def _tensorrt(library: Library, function: str) -> Backend:
    return Backend(
        library.name,
        f"normdeploy.backends.tensorrt.session:{function}",
        library.modules,
        library.package,
        library.extra,
        needs_gpu=True,
        takes_plugins=library.takes_plugins,
        takes_shapes=True,
    )


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend(
            "onnxruntime",
            "normdeploy.backends.onnxruntime:open_cpu",
            ("onnxruntime",),
            "onnxruntime",
            "cpu",
            takes_optimize=True,
        ),
        Backend(
            "onnxruntime-cuda",
            "normdeploy.backends.onnxruntime:open_cuda",
            ("onnxruntime",),
            "onnxruntime-gpu",
            "gpu",
            needs_gpu=True,
            takes_optimize=True,
        ),
        Backend(
            "onnxruntime-tensorrt",
            "normdeploy.backends.onnxruntime:open_tensorrt",
            ("onnxruntime",),
            "onnxruntime-gpu",
            "gpu",
            needs_gpu=True,
        ),
        _tensorrt(LIBRARIES["tensorrt"], "open_tensorrt"),
        _tensorrt(LIBRARIES["tensorrt-rtx"], "open_tensorrt_rtx"),
    )
}


def find(name: str) -> Backend:
    """The backend of this name.

    Raises:
        UsageError: there is none; the message has the nearest names.
    """
    try:
        return BACKENDS[name]
    except KeyError:
        raise UsageError(f"there is no backend '{name}': {suggestion(name, BACKENDS)}") from None
