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

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK_RESIDENT = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_RESET_PEAK = "5"


class Measurement:
    """Times a session on inputs that it holds.

    The inputs lie stacked along a new first axis and take turns: where the stack is larger than the
    processor's last-level cache, each run finds its input in memory, as a fresh input would be.

    Args:
        session: what is timed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stacks: Mapping[str, Array] = {}
        self._slots = 1
        self._turn = 0
        self._peak = _peak_memory()
        self._device = session.device if isinstance(session, DeviceSession) else None

    def hold(self, stacks: Mapping[str, Array]) -> dict[str, Any]:
        """Keep the inputs for the runs that follow, and run on the first.

        Args:
            stacks: each input of the model, with a first axis that counts its values.

        Returns:
            `first_ns`: nanoseconds that the run took.
        """
        self._stacks, self._turn = stacks, 0
        self._slots = min((stack.shape[0] for stack in stacks.values()), default=1)
        with self._watch_device():
            began = time.perf_counter_ns()
            self._session.run(self._next())
            return {"first_ns": time.perf_counter_ns() - began}

    def measure(self, seconds: float, untimed: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Run for a time, once at least, and time each run on its own.

        Args:
            seconds: how long.
            untimed: number of runs before that.

        Returns:
            What is known of the session by then, and the times as arrays; `worker` lists both.
        """
        with self._watch_device():
            for _ in range(untimed):
                self._session.run(self._next())
            times = self._time_runs(seconds)
            self._watch_memory()
        return self._state(), times

    def layers(self, runs: int) -> dict[str, Any]:
        """Time each layer by the runtime's own profiler.

        Args:
            runs: number of runs that the times are the mean of.

        Returns:
            `layers`: a list, or None where the runtime has no profiler; `copy_bandwidth`: bytes per second of
            the GPU's memory, or None where there is nothing to set it against.
        """
        if not isinstance(self._session, LayeredSession):
            return {"layers": None, "copy_bandwidth": None}
        inputs = [self._next() for _ in range(runs)]
        layers = [layer.to_json() for layer in self._session.layer_times(inputs)]
        # Only a session that the device itself times has layer times to set the device's bandwidth against:
        # onnxruntime's profiler sees a kernel's launch, not its end.
        timed = isinstance(self._session, PhasedSession)
        bandwidth = self._device.copy_bandwidth() if self._device is not None and timed else None
        return {"layers": layers, "copy_bandwidth": bandwidth}

    def _time_runs(self, seconds: float) -> dict[str, Array]:
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
        times = {"began_ns": np.array(began, np.int64), "latency_ns": np.array(taken, np.int64)}
        if phases:
            times["phases_ms"] = np.array(phases, np.float64)
        return times

    def _state(self) -> dict[str, Any]:
        """What is known of the session by now."""
        phased = self._session if isinstance(self._session, PhasedSession) else None
        return {
            "peak_memory_bytes": self._peak,
            "peak_device_memory_bytes": self._device.peak_memory_bytes if self._device else None,
            "cuda_graph": phased.cuda_graph if phased else None,
            "cuda_graph_refusal": phased.cuda_graph_refusal if phased else "",
        }

    def _watch_device(self) -> AbstractContextManager[None]:
        return self._device.at_work() if self._device else nullcontext()

    def _next(self) -> dict[str, Array]:
        """The inputs whose turn it is."""
        slot = self._turn % self._slots
        self._turn += 1
        return {name: stack[slot, ...] for name, stack in self._stacks.items()}

    def _watch_memory(self) -> None:
        """Keep the largest resident set so far, without the inputs that are held."""
        latest = _peak_memory()
        if latest is not None and self._peak is not None:
            held = sum(stack.nbytes for stack in self._stacks.values())
            self._peak = max(self._peak, latest - held)


def _peak_memory() -> int | None:
    """Bytes of this process's largest resident set since the last call; None where Linux does not tell."""
    try:
        found = _PEAK_RESIDENT.search(_STATUS.read_text())
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
