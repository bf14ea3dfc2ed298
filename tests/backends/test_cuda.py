"""The driver's calls: what happens where there is none; what they do, where there is one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from normdeploy.backends import cuda
from normdeploy.backends.cuda import CudaError, Driver, Gpu
from normdeploy.backends.hardware import gpus

without_driver = pytest.mark.skipif(
    "libcuda.so.1 not found" not in gpus().detail, reason="there is an NVIDIA driver"
)


def test_no_driver_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cuda, "_LIBRARY", "libcuda-of-nobody.so.1")
    with pytest.raises(CudaError, match=r"no NVIDIA driver \(libcuda-of-nobody.so.1 not found\): install"):
        Gpu()


def test_a_call_that_fails_gives_the_drivers_words(monkeypatch):
    """The C library stands in for a driver whose call returns a status other than 0."""
    driver = Driver.__new__(Driver)
    driver._library = Stub()
    with pytest.raises(CudaError, match=r"the NVIDIA driver's cuInit fails: no such device \(status 100\)"):
        driver.call("cuInit", 0)


class Stub:
    """A library whose one function fails."""

    class _Function:
        argtypes: object = None

        def __call__(self, *arguments: object) -> int:
            return 100

    cuInit = _Function()  # noqa: N815

    @staticmethod
    def cuGetErrorString(status: object, text: object) -> int:  # noqa: N802
        text._obj.value = b"no such device"  # type: ignore[attr-defined]
        return 0


def test_the_probe_needs_no_normdeploy(tmp_path):
    """It is a script of the standard library, run where nothing else can be imported."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", Path(cuda.__file__)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == gpus().usable
    assert len((done.stdout + done.stderr).splitlines()) == 1


@without_driver
def test_this_machine_has_none():
    assert not gpus().usable
    with pytest.raises(CudaError, match="no NVIDIA driver"):
        Gpu()


@pytest.mark.gpu
@pytest.mark.skipif(not gpus().usable, reason=gpus().detail)
def test_memory_copies_and_events():
    gpu = Gpu()
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
    with pytest.raises(CudaError, match="cuMemAlloc"), gpu.memory(2**60):
        pass
