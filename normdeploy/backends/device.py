"""A GPU's memory while a session uses it: how much is taken, and how fast it copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median

from normdeploy.backends.cuda import CudaError, Gpu

_SMALLEST_COPY = 2**28
_TIMES_THE_CACHE = 4
_COPIES = 20


class Device:
    """The GPU that a session uses.

    The driver tells how much memory all processes together have taken. So only what changes while this
    session is at work is counted: processes that wait meanwhile do not count, processes that come or go
    meanwhile do. What is taken and given back within one `at_work` is not seen, nor is CUDA's own context.

    Args:
        gpu: the GPU, before the runtime has taken any of its memory.

    Attributes:
        peak_memory_bytes: the most that the session had taken at the end of any `at_work`.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._taken = 0
        self.peak_memory_bytes = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count as this session's what the GPU has less of free memory at the end than at the beginning."""
        before = self._gpu.free_memory()
        yield
        self._taken += before - self._gpu.free_memory()
        self.peak_memory_bytes = max(self.peak_memory_bytes, self._taken)

    def copy_bandwidth(self) -> float | None:
        """How fast the GPU copies within its memory.

        The median of several copies, each between two events, of a buffer that is too large for the
        second-level cache.

        Returns:
            Bytes per second, read and written together; None where too little memory is left.
        """
        gpu = self._gpu
        nbytes = max(_SMALLEST_COPY, _TIMES_THE_CACHE * gpu.l2_bytes)
        try:
            with gpu.memory(nbytes) as source, gpu.memory(nbytes) as target, gpu.events(_COPIES + 1) as marks:
                gpu.copy(source, target, nbytes)  # not timed: the first one may have to wake the clocks
                gpu.record(marks[0])
                for mark in marks[1:]:
                    gpu.copy(source, target, nbytes)
                    gpu.record(mark)
                gpu.synchronize()
                times = [gpu.milliseconds(begin, end) for begin, end in pairwise(marks)]
        except CudaError:
            return None
        return 2 * nbytes / (median(times) / 1000)
