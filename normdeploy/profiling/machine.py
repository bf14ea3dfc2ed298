"""The machine that a profile was taken on: whatever makes the same model faster or slower."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from normdeploy.environment import environment as versions
from normdeploy.resources import usable_cpus

_CPUINFO = Path("/proc/cpuinfo")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")

_IDENTITY = ("cpu", "cpus", "usable_cpus", "governor", "machine")
"""Entries that differ only between machines or their settings."""


def machine() -> dict[str, Any]:
    """Versions, processor, clock settings, load and, where there is one, the GPU's state, as they are now."""
    return {
        **versions(),
        "cpu": _cpu(),
        "usable_cpus": usable_cpus(),
        "governor": _text(_FREQUENCY / "scaling_governor"),
        "max_frequency_khz": _number(_FREQUENCY / "scaling_max_freq"),
        "load_average": list(os.getloadavg()),
        "thread_variables": {name: os.environ[name] for name in _THREADS if name in os.environ},
        "gpus": gpu_states(),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What sets two machines apart, in words.

    Args:
        before, now: what `machine` told of each.
    """
    return [
        f"{name} was {before.get(name)} and is {now.get(name)}"
        for name in _IDENTITY
        if before.get(name) != now.get(name)
    ]


def gpu_states() -> list[dict[str, Any]]:
    """State of each NVIDIA GPU, by NVML (nvidia-ml-py); empty without one or without the package.

    Clocks in MHz, temperature in °C, power in W; `throttling` is NVML's bit mask of reasons why clocks are
    lower than asked for (nvmlClocksEventReasons: 0 none, 1 idle, 4 power cap, 8 hardware, 32 temperature).
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [_gpu(nvml, handle) for handle in handles]
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, handle: Any) -> dict[str, Any]:
    queries: dict[str, Callable[[], Any]] = {
        "name": lambda: str(nvml.nvmlDeviceGetName(handle)),
        "driver": lambda: str(nvml.nvmlSystemGetDriverVersion()),
        "memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "memory_used_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttling": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    }
    state: dict[str, Any] = dict.fromkeys(queries)
    for name, query in queries.items():
        with contextlib.suppress(nvml.NVMLError):  # not every GPU tells everything
            state[name] = query()
    return state


def _cpu() -> str | None:
    found = _MODEL.search(_text(_CPUINFO) or "")
    return found[1] if found else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.isdecimal() else None
