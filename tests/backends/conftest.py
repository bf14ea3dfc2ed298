"""NVIDIA's driver emulated on the host, as fixtures."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from normdeploy.backends import cuda
from normdeploy.backends.cuda import Gpu


@pytest.fixture(scope="session")
def host_driver(tmp_path_factory) -> Path:
    """A driver whose device is the host: arguments that do not fit crash or fail here as they would there."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    shared = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    source = Path(__file__).with_name("host_driver.c")
    subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", source, "-o", shared], check=True)
    return shared


@pytest.fixture
def host_gpu(host_driver, monkeypatch) -> Gpu:
    """Its GPU."""
    monkeypatch.setattr(cuda, "_LIBRARY", str(host_driver))
    return Gpu()


@pytest.fixture
def counters(host_driver) -> ctypes.CDLL:
    """`live_objects()`: what was made and not yet destroyed; `graph_launches()`."""
    return ctypes.CDLL(str(host_driver))
