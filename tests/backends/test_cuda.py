"""The driver's calls: what happens where there is none; what they do, where there is one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from normdeploy.backends import cuda
from normdeploy.backends.cuda import CudaError, Gpu
from normdeploy.backends.hardware import gpu_status

without_driver = pytest.mark.skipif(
    "libcuda.so.1 not found" not in gpu_status().detail, reason="there is an NVIDIA driver"
)


def test_no_driver_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cuda, "_LIBRARY", "libcuda-of-nobody.so.1")
    with pytest.raises(CudaError, match=r"no NVIDIA driver \(libcuda-of-nobody.so.1 not found\): install"):
        Gpu()


def test_every_call_takes_its_arguments(host_gpu, counters):
    assert (host_gpu.name, host_gpu.driver_version) == ("Host Emulation", "13.2")
    copy_there_and_back(host_gpu)
    with host_gpu.memory(0) as address:
        host_gpu.upload(np.empty(0), address)
    assert counters.live_objects() == 0


def test_a_call_that_fails_gives_the_drivers_words(host_gpu, counters):
    message = r"the NVIDIA driver's cuMemAlloc_v2 fails: out of memory \(status 2\)"
    with pytest.raises(CudaError, match=message), host_gpu.memory(2**50):
        pass
    with pytest.raises(ZeroDivisionError), host_gpu.memory(8), host_gpu.events(2):
        _ = 1 / 0
    assert counters.live_objects() == 0


def copy_there_and_back(gpu: Gpu) -> None:
    array = np.arange(1000, dtype=np.float32)
    back = np.empty_like(array)
    with gpu.memory(array.nbytes) as address, gpu.events(2) as (begin, end):
        gpu.record(begin)
        gpu.upload(array, address)
        gpu.download(address, back)
        gpu.record(end)
        gpu.synchronize()
        assert gpu.milliseconds(begin, end) > 0
    assert (back == array).all()


def test_the_probe_needs_no_normdeploy(tmp_path):
    """It is a script of the standard library, run where nothing else can be imported."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", Path(cuda.__file__)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == gpu_status().usable
    assert len((done.stdout + done.stderr).splitlines()) == 1


@without_driver
def test_this_machine_has_none():
    assert not gpu_status().usable
    with pytest.raises(CudaError, match="no NVIDIA driver"):
        Gpu()


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_status().usable, reason=gpu_status().detail)
def test_memory_copies_and_events():
    gpu = Gpu()
    copy_there_and_back(gpu)
    with pytest.raises(CudaError, match="cuMemAlloc"), gpu.memory(2**60):
        pass
