"""TensorRT and TensorRT-RTX: where their Python modules are, and what sets them apart.

The only file that imports either.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from normdeploy.errors import BackendUnavailable, MissingDependencyError


@dataclass(frozen=True)
class Library:
    """TensorRT or TensorRT-RTX.

    Args:
        name: the library's name, which is its backend's too.
        modules: names of its Python module, of which the first that is installed counts: pip and NVIDIA's SDK
            name it differently.
        package: the distribution on PyPI that brings the module.
        extra: the extra of normdeploy that brings the distribution.
        takes_plugins: whether its networks can hold plugins.
        has_timing_cache: whether it times kernels when it builds, which a timing cache saves the next time.
        builds_without_gpu: whether it builds engines on a machine without a GPU and a driver.
    """

    name: str
    modules: Sequence[str]
    package: str
    extra: str
    takes_plugins: bool
    has_timing_cache: bool
    builds_without_gpu: bool

    def load(self) -> Any:
        """Import its Python module.

        Raises:
            MissingDependencyError: it is not installed.
            BackendUnavailable: it is installed, but does not load.
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
"""By name. TensorRT-RTX 1.7 ends the process when a model holds a plugin, and its documentation says that its
timing cache does nothing."""
