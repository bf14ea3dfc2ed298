"""A tolerance that the user gives; without one, rounding is measured (see `noise`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.errors import UsageError

_WHY = ": then nothing could fail"


@dataclass(frozen=True)
class Tolerance:
    """An element may be off by relative · |reference| + absolute, as in numpy.isclose.

    Args:
        relative, absolute: 0 or more.
    """

    relative: float
    absolute: float

    def allowed(self, expected: NDArray[Any]) -> NDArray[np.float64]:
        """The largest permitted error of each element.

        Args:
            expected: what the reference computes. Types that are not floating have to be equal.
        """
        if expected.dtype != np.float64:
            return np.zeros(expected.shape)
        with np.errstate(all="ignore"):
            return np.asarray(np.abs(expected) * self.relative + self.absolute)


def given_tolerance(rtol: float | None, atol: float | None) -> Tolerance | None:
    """The tolerance of two options.

    Args:
        rtol, atol: relative and absolute; one that is not given is 0.

    Returns:
        None if neither is given.

    Raises:
        UsageError: a negative number, an infinite one, or NaN.
    """
    if rtol is None and atol is None:
        return None
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{name} must be 0 or more, got {value}{_WHY if value == math.inf else ''}")
    return Tolerance(rtol or 0.0, atol or 0.0)
