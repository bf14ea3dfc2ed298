"""How many processors and how much memory this machine has, and limits on what one process may take of it."""

from __future__ import annotations

import ctypes
import math
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_STATUS = Path("/proc/self/statm")
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def usable_cpus() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def physical_memory() -> float:
    """Bytes of memory that this machine (or container) has; infinity where it does not tell."""
    sizes = [math.inf]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if _CONTAINER_LIMIT.is_file():
        limit = _CONTAINER_LIMIT.read_text().strip()
        if limit.isdecimal():
            sizes.append(int(limit))
    return min(sizes)


_LARGEST_LIMIT = 2**63 - 1
"""Bytes; the system takes no larger number."""

_SHARE = 0.5
"""Of the machine's memory."""


def default_memory() -> float:
    """Bytes that work on a model may take where nothing else is said: half of the machine's memory."""
    return physical_memory() * _SHARE


def limit_memory(nbytes: float | None = None) -> None:
    """Make allocations beyond `nbytes` fail in this process, instead of ending other processes.

    The limit is on private writable memory (RLIMIT_DATA). Address space that is only reserved, as CUDA
    does by the terabyte, does not count. A limit that is tighter already stays.

    Args:
        nbytes: by default the machine's memory.
    """
    nbytes = physical_memory() if nbytes is None else nbytes
    if not math.isfinite(nbytes):
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = min(int(nbytes), _LARGEST_LIMIT)
    present = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    if all(wanted < limit for limit in present):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


_WITHOUT_MODEL = 2**30
"""Bytes that a process may take for Python and its libraries, which reserve more than they use."""


def process_limit(max_memory: float | None) -> float:
    """What to limit a process's memory to that may take `max_memory` bytes for a model.

    Args:
        max_memory: by default `default_memory`.
    """
    return (default_memory() if max_memory is None else max_memory) + _WITHOUT_MODEL


@contextmanager
def limited_memory(nbytes: int) -> Iterator[None]:
    """Make allocations fail in this process that take it beyond `nbytes` more than it has, inside the block.

    For work of native code that cannot be asked to stop. Where the system does not tell how much the process
    has, nothing is limited.
    """
    try:
        pages = int(_STATUS.read_text().split()[5])  # of data and stack, what RLIMIT_DATA limits
    except OSError:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit_memory(pages * resource.getpagesize() + nbytes)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def release_freed_memory() -> None:
    """Give back to the system what was freed and the allocator keeps; some have no function for it."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def no_core_dumps() -> None:
    """Leave no core file behind when this process crashes."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
