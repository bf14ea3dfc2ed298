"""Memory and bandwidth of a GPU, on the driver that is emulated on the host."""

import pytest

from normdeploy.backends import device as device_module
from normdeploy.backends.cuda import Gpu
from normdeploy.backends.device import Device
from normdeploy.backends.hardware import gpu_status

MIB = 2**20


def test_only_what_is_taken_at_work_counts(host_gpu):
    device = Device(host_gpu)
    assert device.peak_memory_bytes == 0
    with host_gpu.memory(64 * MIB):  # another's
        with device.at_work():
            first = host_gpu.memory(3 * MIB)
            first.__enter__()
        with host_gpu.memory(8 * MIB), device.at_work():
            second = host_gpu.memory(2 * MIB)
            second.__enter__()
        with device.at_work():
            first.__exit__(None, None, None)
        assert device.peak_memory_bytes == 5 * MIB
    with device.at_work():
        second.__exit__(None, None, None)
    assert device.peak_memory_bytes == 5 * MIB


def test_bandwidth_counts_bytes_read_and_written(host_gpu, counters, monkeypatch):
    """The emulated clock goes on by half a millisecond at each event, and its cache has 1 MiB."""
    monkeypatch.setattr(device_module, "_SMALLEST_COPY", 1)
    before = counters.live_objects()
    assert Device(host_gpu).copy_bandwidth() == pytest.approx(2 * 4 * MIB / 0.5e-3)
    assert counters.live_objects() == before


def test_no_bandwidth_without_memory(host_gpu, counters, monkeypatch):
    monkeypatch.setattr(device_module, "_SMALLEST_COPY", 2**50)
    before = counters.live_objects()
    assert Device(host_gpu).copy_bandwidth() is None
    assert counters.live_objects() == before


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_status().usable, reason=gpu_status().detail)
def test_a_gpu():
    gpu = Gpu()
    device = Device(gpu)
    with device.at_work():
        held = gpu.memory(64 * MIB)
        held.__enter__()
    assert device.peak_memory_bytes >= 64 * MIB
    held.__exit__(None, None, None)
    assert gpu.l2_bytes > 0
    bandwidth = device.copy_bandwidth()
    assert bandwidth is not None
    assert 1e10 < bandwidth < 1e14
