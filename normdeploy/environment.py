"""The versions that can change a result, for reports."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import onnx

from normdeploy._version import __version__


def environment() -> dict[str, Any]:
    """Versions of this package, Python and its libraries, and the machine's kind and processors."""
    return {
        "normdeploy": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }
