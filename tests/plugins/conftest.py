"""Builds the plugin once for all tests of this folder."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from normdeploy import plugin
from normdeploy.errors import PluginUnavailable
from normdeploy.plugin.toolchain import find_nvcc
from tests.plugins.plugin_cases import CaseRunner

_SECONDS = 900
"""For one test: the first one builds the library, on a machine that may be busy."""

BUILD_FOLDER = Path(__file__).resolve().parents[2] / "build" / "plugins-test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def library() -> Path:
    """The plugin library; its tests are in BUILD_FOLDER. It must build wherever nvcc is installed."""
    try:
        find_nvcc()
    except PluginUnavailable as error:
        pytest.skip(str(error))
    installed = BUILD_FOLDER / "installed"
    installed.mkdir(parents=True, exist_ok=True)
    return plugin.build(
        installed / "libnormdeploy_plugins.so",
        architectures=["75", "90"],
        headers="wheel",
        tests=True,
        folder=BUILD_FOLDER,
        jobs=2,
    )


@pytest.fixture(scope="session")
def build_folder(library: Path) -> Path:
    return BUILD_FOLDER


@pytest.fixture
def host(build_folder: Path, tmp_path: Path) -> CaseRunner:
    """Executes the kernels' source on this machine's CPU."""
    return CaseRunner([build_folder / "tests" / "run_cases_on_host"], tmp_path)


@pytest.fixture
def device(build_folder: Path, tmp_path: Path) -> CaseRunner:
    """Launches the kernels on this machine's GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("no NVIDIA driver is installed")
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        pytest.skip("no NVIDIA GPU is there")
    return CaseRunner([build_folder / "tests" / "run_cases_on_device"], tmp_path)
