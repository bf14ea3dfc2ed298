"""Programs that execute the plugin's kernels."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tests.plugins.plugin_cases import CaseRunner


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
