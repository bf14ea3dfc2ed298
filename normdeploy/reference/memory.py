"""Refuse what this machine cannot hold before it is allocated.

A model's few bytes can ask for terabytes (ConstantOfShape, Expand, Pad, ...), and Linux grants the
address space and ends the process later.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


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


def require_memory(shape: Sequence[int], itemsize: int = 8) -> None:
    """Check that a tensor of this shape fits.

    Raises:
        MemoryError: it is larger than the machine's memory.
    """
    nbytes = math.prod(int(size) for size in shape) * itemsize
    if nbytes > physical_memory():
        raise MemoryError(
            f"a tensor of shape {tuple(int(size) for size in shape)} would take {nbytes / 2**30:.4g} GiB, "
            f"and this machine has {physical_memory() / 2**30:.4g} GiB"
        )
