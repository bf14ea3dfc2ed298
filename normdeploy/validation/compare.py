"""Compare two arrays. Knows nothing of models, runtimes or files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.validation.tolerance import Tolerance

Array = NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """What differs, over the elements compared so far.

    Args:
        elements: how many.
        wrong: those whose error is above what is allowed, or whose NaN or infinity is misplaced.
        max_abs_error: largest |actual - expected| where both are finite.
        max_rel_error: largest |actual - expected| / |expected| where expected is not 0.
        noise_ratio: largest error / allowed error; infinite where nothing is allowed.
        nan, inf: in the actual array.
        misplaced: NaN or infinities (by sign) that only one of the two has.
    """

    elements: int = 0
    wrong: int = 0
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    noise_ratio: float = 0.0
    nan: int = 0
    inf: int = 0
    misplaced: int = 0

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.elements + other.elements,
            self.wrong + other.wrong,
            max(self.max_abs_error, other.max_abs_error),
            max(self.max_rel_error, other.max_rel_error),
            max(self.noise_ratio, other.noise_ratio),
            self.nan + other.nan,
            self.inf + other.inf,
            self.misplaced + other.misplaced,
        )


def compare(actual: Array, expected: Array, tolerance: Tolerance) -> Comparison:
    """Compare a backend's array with the reference's, of the same shape.

    Args:
        actual: of any type.
        expected: float64 where `actual` is floating; otherwise compared exactly.
        tolerance: for floating arrays.
    """
    if not is_floating(actual) or not is_floating(expected):
        return _compare_exactly(actual, expected)
    with np.errstate(all="ignore"):
        representable = expected.astype(actual.dtype).astype(np.float64)
        got = actual.astype(np.float64)
        # A value beyond the type's range rounds to an infinity, and that is then the right answer.
        expected = np.where(np.isinf(representable), representable, expected.astype(np.float64))
        special = ~np.isfinite(got) | ~np.isfinite(expected)
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        misplaced = int(np.count_nonzero(special & ~same))

        right = expected[~special]
        error = np.abs(got[~special] - right)
        allowed = tolerance.allowed(right)
        ratio = np.divide(error, allowed, out=np.where(error > 0, np.inf, 0.0), where=allowed > 0)
        relative = np.divide(error, np.abs(right), out=np.zeros_like(error), where=right != 0)
    return Comparison(
        elements=actual.size,
        wrong=misplaced + int(np.count_nonzero(ratio > 1)),
        max_abs_error=float(np.max(error, initial=0.0)),
        max_rel_error=float(np.max(relative, initial=0.0)),
        noise_ratio=math.inf if misplaced else float(np.max(ratio, initial=0.0)),
        nan=int(np.count_nonzero(np.isnan(got))),
        inf=int(np.count_nonzero(np.isinf(got))),
        misplaced=misplaced,
    )


def _compare_exactly(actual: Array, expected: Array) -> Comparison:
    different = np.asarray(actual != expected)
    wrong = int(np.count_nonzero(different))
    error = relative = 0.0
    if wrong and actual.dtype.kind in "biu" and expected.dtype.kind in "biu":
        right = expected[different].astype(np.float64)
        errors = np.abs(actual[different].astype(np.float64) - right)
        error = float(errors.max())
        relative = float(np.max(errors[right != 0] / np.abs(right[right != 0]), initial=0.0))
    return Comparison(
        elements=actual.size,
        wrong=wrong,
        max_abs_error=error,
        max_rel_error=relative,
        noise_ratio=math.inf if wrong else 0.0,
    )


def is_floating(array: Array) -> bool:
    """Whether the array holds floating-point numbers, those of ml_dtypes included."""
    return array.dtype.kind == "f" or (
        array.dtype.kind == "V" and array.dtype.name.startswith(("float", "bfloat"))
    )
