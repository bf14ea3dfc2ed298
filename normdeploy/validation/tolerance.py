"""A tolerance that the user gives; without one, rounding is measured (see `noise`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.errors import UsageError


@dataclass(frozen=True)
class Tolerance:
    """An element may be off by relative · |reference| + absolute, as in numpy.isclose."""

    relative: float
    absolute: float

    def allowed(self, expected: NDArray[Any]) -> NDArray[np.float64]:
        """The largest permitted error of each element; 0 for types that are not floating."""
        if expected.dtype != np.float64:
            return np.zeros(expected.shape)
        with np.errstate(all="ignore"):
            return np.asarray(np.abs(expected) * self.relative + self.absolute)


def given_tolerance(rtol: float | None, atol: float | None) -> Tolerance | None:
    """The tolerance of two options, the one that is not given being 0; None if neither is.

    Raises:
        UsageError: a negative number, or NaN.
    """
    if rtol is None and atol is None:
        return None
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not value >= 0:
            raise UsageError(f"{name} must be 0 or more, got {value}")
    return Tolerance(rtol or 0.0, atol or 0.0)
