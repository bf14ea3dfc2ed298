"""Limits on what one process may take."""

from __future__ import annotations

import math
import resource


def limit_memory(nbytes: float) -> None:
    """Make allocations beyond `nbytes` fail in this process, instead of ending other processes.

    The limit is on private writable memory (RLIMIT_DATA). Address space that is only reserved, as CUDA
    does by the terabyte, does not count. A limit that is tighter already stays.
    """
    if not math.isfinite(nbytes):
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(nbytes)
    present = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    if all(wanted < limit for limit in present):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def no_core_dumps() -> None:
    """Leave no core file behind when this process crashes."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
