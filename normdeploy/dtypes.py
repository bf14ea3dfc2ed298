"""Element types by name, those included that NumPy lacks and ml_dtypes has."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any element type."""


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether the type is a floating-point one, those of ml_dtypes (bfloat16, ...) included."""
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name.startswith(("float", "bfloat")))


def dtype_named(name: str) -> np.dtype[Any]:
    """The type of a name, those of ml_dtypes (bfloat16, float8_e4m3fn, int4, ...) included.

    Args:
        name: as `dtype.name` gives it.

    Raises:
        TypeError: there is none of that name.
    """
    extension = getattr(ml_dtypes, name, None)
    return np.dtype(name if extension is None else extension)
