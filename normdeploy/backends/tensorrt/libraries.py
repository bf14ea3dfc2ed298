"""The two libraries, and where their Python modules are. The only place that imports either."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from normdeploy.errors import BackendUnavailable, MissingDependencyError


@dataclass(frozen=True)
class Library:
    """One of the two.

    Args:
        name: the backend's.
        modules: names of its Python module; what comes from pip and what comes with NVIDIA's SDK differ.
        package: the distribution on PyPI.
        extra: of normdeploy, which brings the distribution.
        takes_plugins: its networks can hold plugins.
        has_timing_cache: building it measures kernels, which a timing cache saves.
        builds_without_gpu: building it needs no GPU and no driver.
    """

    name: str
    modules: Sequence[str]
    package: str
    extra: str
    takes_plugins: bool
    has_timing_cache: bool
    builds_without_gpu: bool

    def load(self) -> Any:
        """Import the module.

        Raises:
            MissingDependencyError: it is not installed.
            BackendUnavailable: it is, but does not load.
        """
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                continue
            try:
                return importlib.import_module(module)
            except (ImportError, OSError) as error:
                raise BackendUnavailable(
                    f"the Python module {module} does not load ({error}): run  pip install --force-reinstall "
                    f"'normdeploy[{self.extra}]'"
                ) from error
        raise MissingDependencyError(self.package, self.extra)


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "tensorrt",
            ("tensorrt", "tensorrt_bindings"),
            "tensorrt",
            "gpu",
            takes_plugins=True,
            has_timing_cache=True,
            builds_without_gpu=False,
        ),
        Library(
            "tensorrt-rtx",
            ("tensorrt_rtx", "tensorrt_rtx_bindings"),
            "tensorrt-rtx",
            "rtx",
            takes_plugins=False,
            has_timing_cache=False,
            builds_without_gpu=True,
        ),
    )
}
"""By the backend's name. TensorRT-RTX 1.7 ends the process when a model holds a plugin, and says itself that
its timing cache does nothing."""
