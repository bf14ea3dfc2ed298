"""Whether this machine has a GPU that CUDA can use.

A process of its own asks the driver, once: a broken driver can hang or crash whoever calls it.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass

from normdeploy.backends import cuda

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class GpuStatus:
    """What the driver tells of this machine's GPUs.

    Args:
        usable: whether there is one that this process may use.
        detail: the newest CUDA that the driver serves and the GPUs' names; or what is wrong, and what to do.
    """

    usable: bool
    detail: str


@functools.cache
def gpu_status() -> GpuStatus:
    """What the driver tells, which is asked on the first call only."""
    try:
        result = subprocess.run(
            [sys.executable, "-I", cuda.__file__],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return GpuStatus(False, "the NVIDIA driver hangs: restart the machine, or install the driver again")
    if result.returncode == 0:
        return GpuStatus(True, result.stdout.strip())
    said = result.stderr.strip().splitlines()
    return GpuStatus(False, said[-1] if said else "the NVIDIA driver crashes: install it again")
