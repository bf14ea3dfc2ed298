"""Timing a session from inside its worker process, so that no pipe and no copy between processes counts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.backends.session import DeviceSession, LayeredSession, PhasedSession, Session
from normdeploy.dtypes import Array
from normdeploy.errors import UsageError

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK_RESIDENT = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_RESET_PEAK = "5"


class Measurement:
    """The inputs that a session is timed with, and the next one's turn.

    The inputs are held stacked along a new first axis and used in rotation: where the stack is larger than
    the processor's last-level cache, each run finds its input in memory, as a fresh input would be.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stacks: Mapping[str, Array] = {}
        self._slots = 1
        self._turn = 0
        self._peak = _peak_memory()
        self._device = session.device if isinstance(session, DeviceSession) else None

    def answer(self, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> tuple[dict[str, Any], Any]:
        """Serve one request; see `normdeploy.backends.worker` for what each one takes and gives."""
        if header["request"] == "hold":
            with self._watch_device():
                return self._hold(arrays), {}
        if header["request"] == "measure":
            with self._watch_device():
                seen = self._measure(header["seconds"], header["untimed"])
            return self._state(), seen
        if header["request"] == "layers":
            return self._layers(header["runs"]), {}
        raise UsageError(f"there is no request '{header['request']}'")

    def _hold(self, stacks: Mapping[str, Array]) -> dict[str, Any]:
        """Take the inputs, and run the first one."""
        self._stacks, self._turn = stacks, 0
        self._slots = min((stack.shape[0] for stack in stacks.values()), default=1)
        began = time.perf_counter_ns()
        self._session.run(self._next())
        return {"first_ns": time.perf_counter_ns() - began}

    def _measure(self, seconds: float, untimed: int) -> dict[str, Array]:
        """Run `untimed` times, then for `seconds` and once at least, each run timed on its own."""
        for _ in range(untimed):
            self._session.run(self._next())
        began, taken, phases = [], [], []
        clock, run = time.perf_counter_ns, self._session.run
        phased = self._session if isinstance(self._session, PhasedSession) else None
        end = clock() + int(seconds * 1e9)
        now = 0
        while now < end:
            inputs = self._next()
            if phased is not None:
                start = clock()
                phases.append(phased.run_phases(inputs))
            else:
                start = clock()
                run(inputs)
            now = clock()
            began.append(start)
            taken.append(now - start)
        arrays = {"began_ns": np.array(began, np.int64), "latency_ns": np.array(taken, np.int64)}
        if phases:
            arrays["phases_ms"] = np.array(phases, np.float64)
        self._watch_memory()
        return arrays

    def _state(self) -> dict[str, Any]:
        """What is known of the session after a turn."""
        phased = self._session if isinstance(self._session, PhasedSession) else None
        return {
            "peak_memory_bytes": self._peak,
            "peak_device_memory_bytes": self._device.peak_memory_bytes if self._device else None,
            "cuda_graph": phased.cuda_graph if phased else None,
            "cuda_graph_refusal": phased.cuda_graph_refusal if phased else "",
        }

    def _watch_device(self) -> AbstractContextManager[None]:
        return self._device.at_work() if self._device else nullcontext()

    def _layers(self, runs: int) -> dict[str, Any]:
        """Per-layer times by the runtime's own profiler; null where it has none. The device's bandwidth."""
        if not isinstance(self._session, LayeredSession):
            return {"layers": None, "copy_bandwidth": None}
        inputs = [self._next() for _ in range(runs)]
        layers = [layer.to_json() for layer in self._session.layer_times(inputs)]
        # Only a session that the device itself times has layer times to set the device's bandwidth against:
        # onnxruntime's profiler sees a kernel's launch, not its end.
        timed = isinstance(self._session, PhasedSession)
        bandwidth = self._device.copy_bandwidth() if self._device is not None and timed else None
        return {"layers": layers, "copy_bandwidth": bandwidth}

    def _next(self) -> dict[str, Array]:
        slot = self._turn % self._slots
        self._turn += 1
        return {name: stack[slot, ...] for name, stack in self._stacks.items()}

    def _watch_memory(self) -> None:
        """Keep the largest resident set so far, without the inputs that this process holds for others."""
        latest = _peak_memory()
        if latest is not None and self._peak is not None:
            held = sum(stack.nbytes for stack in self._stacks.values())
            self._peak = max(self._peak, latest - held)


def _peak_memory() -> int | None:
    """Bytes of the largest resident set since the last call (Linux: VmHWM); None where it is not told."""
    try:
        found = _PEAK_RESIDENT.search(_STATUS.read_text())
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
