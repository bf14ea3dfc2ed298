"""Asking a driver that works, one that is missing, and drivers that hang and crash."""

import subprocess

import pytest

from normdeploy.backends import cuda, hardware
from normdeploy.backends.hardware import GpuStatus, gpu_status

ask = gpu_status.__wrapped__
"""The same without the memory of earlier answers."""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Puts a script into the place of the one that asks the driver."""

    def put(script: str) -> None:
        path = tmp_path / "probe.py"
        path.write_text(script)
        monkeypatch.setattr(cuda, "__file__", str(path))

    return put


def test_a_driver_that_works(driver):
    driver("print('CUDA 13.2: NVIDIA H200, NVIDIA H200')")
    assert ask() == GpuStatus(True, "CUDA 13.2: NVIDIA H200, NVIDIA H200")


def test_the_driver_that_is_emulated(host_driver, tmp_path, monkeypatch):
    """The real script, which loads the driver from the loader's path."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(host_driver.parent))
    assert ask() == GpuStatus(True, "CUDA 13.2: Host Emulation")


def test_no_driver(driver):
    driver("import sys; print('a warning', file=sys.stderr); sys.exit('no NVIDIA driver: install it')")
    assert ask() == GpuStatus(False, "no NVIDIA driver: install it")


def test_a_driver_that_crashes(driver):
    driver("import os; os.abort()")
    found = ask()
    assert (found.usable, found.detail) == (False, "the NVIDIA driver crashes: install it again")


def test_a_driver_that_hangs(driver, monkeypatch):
    monkeypatch.setattr(hardware, "_TIMEOUT_SECONDS", 0.2)
    driver("import signal; signal.pause()")
    found = ask()
    assert not found.usable
    assert found.detail.startswith("the NVIDIA driver hangs: restart the machine")


def test_it_is_asked_once(monkeypatch):
    first = gpu_status()
    monkeypatch.setattr(subprocess, "run", None)
    assert gpu_status() is first
