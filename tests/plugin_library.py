"""The TensorRT plugin library, built once for all tests that ask for it: a pytest plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from normdeploy import plugin
from normdeploy.errors import PluginUnavailable
from normdeploy.plugin.toolchain import find_nvcc

HEADERS: Literal["wheel"] = "wheel"
"""Where TensorRT's headers come from: what is on PyPI. BUILD_FOLDER keeps them, so they are fetched once."""

BUILD_FOLDER = Path(__file__).resolve().parents[1] / "build" / "plugins-test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test of the library first, the others last.

    Where several processes share the tests, one of them builds it, and no other waits for that.
    """
    needing = [item for item in items if "library" in getattr(item, "fixturenames", ())]
    others = [item for item in items if item not in needing]
    items[:] = [*needing[:1], *others, *needing[1:]]


@pytest.fixture(scope="session")
def library() -> Path:
    """The plugin library; its own tests are in `build_folder`. It must build wherever nvcc is installed."""
    try:
        find_nvcc()
    except PluginUnavailable as error:
        pytest.skip(str(error))
    installed = BUILD_FOLDER / "installed"
    installed.mkdir(parents=True, exist_ok=True)
    return plugin.build(
        installed / "libnormdeploy_plugins.so",
        architectures=["75", "90"],
        headers=HEADERS,
        tests=True,
        folder=BUILD_FOLDER,
        jobs=2,
    )


@pytest.fixture(scope="session")
def build_folder(library: Path) -> Path:
    """Where CMake built the library, its tests and the programs that execute its kernels."""
    return BUILD_FOLDER


@pytest.fixture(scope="session")
def tensorrt_headers(build_folder: Path) -> Path:
    """The folder of TensorRT's headers that the library was compiled with."""
    (header,) = (build_folder / "tensorrt-headers").rglob("NvInferRuntime.h")
    return header.parent
