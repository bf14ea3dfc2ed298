"""What a profile asks of a GPU besides running a model: memory taken, and how fast memory is."""

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
    """The GPU that a session uses, watched from before the runtime takes any of its memory.

    Attributes:
        peak_memory_bytes: the most of the GPU's memory that was taken at the end of any `at_work`, CUDA's own
            context excluded. The driver tells what all processes together have taken, so only what changes
            within `at_work` is counted: others that wait for their turn meanwhile do not count, others that
            come or go meanwhile do. What is taken and given back within one `at_work` is not seen.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._taken = 0
        self.peak_memory_bytes = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count what the GPU's memory has less at the end than at the beginning."""
        before = self._gpu.free_memory()
        yield
        self._taken += before - self._gpu.free_memory()
        self.peak_memory_bytes = max(self.peak_memory_bytes, self._taken)

    def copy_bandwidth(self) -> float | None:
        """Bytes per second, read and written together, of copying within the GPU's memory.

        The median of several copies of a buffer that its second-level cache cannot hold, each between two
        events. None where there is not enough memory left.
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
