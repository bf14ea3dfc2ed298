"""Compare two arrays. Knows nothing of models, runtimes or files."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import ml_dtypes
import numpy as np

from normdeploy.dtypes import Array, is_floating


@dataclass(frozen=True)
class RowCounts:
    """What became of rows whose number or order rounding can change.

    Args:
        appeared: rows that the reference has not, and that rounding explains.
        vanished: rows of the reference that are not there, which rounding explains.
        missing, surplus: the same, which rounding does not explain.
        displaced: rows in another order than rounding explains.
    """

    appeared: int = 0
    vanished: int = 0
    missing: int = 0
    surplus: int = 0
    displaced: int = 0

    @property
    def wrong(self) -> int:
        """Rows that are not there, should not be, or stand elsewhere."""
        return self.missing + self.surplus + self.displaced

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.appeared + other.appeared,
            self.vanished + other.vanished,
            self.missing + other.missing,
            self.surplus + other.surplus,
            self.displaced + other.displaced,
        )


@dataclass(frozen=True)
class TensorComparison:
    """What differs, over the elements compared so far.

    Args:
        elements: how many.
        wrong: those whose error is above what is allowed, or whose NaN or infinity is misplaced.
        max_abs_error: largest |actual - expected| where both are finite.
        max_rel_error: largest |actual - expected| / |expected| where expected is not 0.
        noise_ratio: largest error / allowed error; infinite where nothing is allowed.
        nan, inf: in the actual array.
        misplaced: NaN or infinities (by sign) that only one of the two has.
        ties: integers or booleans that differ, and NaN or infinities that only one of the two has, where
            rounding alone decides.
        expected_rounding: largest standard deviation of an element's rounding; None if it was not measured.
        noise_share: how large that rounding is, root mean square, against the output; None likewise.
        rows: of an output whose rows were matched; None for others.
    """

    elements: int = 0
    wrong: int = 0
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    noise_ratio: float = 0.0
    nan: int = 0
    inf: int = 0
    misplaced: int = 0
    ties: int = 0
    expected_rounding: float | None = None
    noise_share: float | None = None
    rows: RowCounts | None = None

    @property
    def shows_nothing(self) -> bool:
        """Whether there is no finite number, so that nothing can be concluded from what is equal."""
        return self.nan + self.inf == self.elements

    def __add__(self, other: TensorComparison) -> TensorComparison:
        return TensorComparison(
            self.elements + other.elements,
            self.wrong + other.wrong,
            max(self.max_abs_error, other.max_abs_error),
            max(self.max_rel_error, other.max_rel_error),
            max(self.noise_ratio, other.noise_ratio),
            self.nan + other.nan,
            self.inf + other.inf,
            self.misplaced + other.misplaced,
            self.ties + other.ties,
            _largest(self.expected_rounding, other.expected_rounding),
            _largest(self.noise_share, other.noise_share),
            self.rows + other.rows if self.rows and other.rows else self.rows or other.rows,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`; a number that is not finite is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def _largest(left: float | None, right: float | None) -> float | None:
    known = [value for value in (left, right) if value is not None]
    return max(known, default=None)


def compare(
    actual: Array,
    expected: Array,
    allowed: Array | None = None,
    sigma: Array | None = None,
    undefined: Array | None = None,
) -> TensorComparison:
    """Compare a backend's array with the reference's, of the same shape.

    Args:
        actual: of any type.
        expected: float64 where `actual` is floating.
        allowed: the largest permitted error of each element, nothing by default; the smallest normal number
            of the type of `actual`, below which a runtime may flush to zero, is added. Where arrays are not
            floating, elements may differ where it is above 0.
        sigma: the standard deviation of each element's rounding, if it was measured.
        undefined: elements of which rounding decides whether they are finite; none by default.
    """
    if allowed is None:
        allowed = np.zeros(expected.shape)
    if not is_floating(actual.dtype) or not is_floating(expected.dtype):
        return _compare_exactly(actual, expected, allowed)
    with np.errstate(all="ignore"):
        representable = expected.astype(actual.dtype).astype(np.float64)
        got = actual.astype(np.float64)
        # A value beyond the type's range rounds to an infinity, and that is then the right answer.
        expected = np.where(np.isinf(representable), representable, expected.astype(np.float64))
        special = ~np.isfinite(got) | ~np.isfinite(expected)
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        differs = special & ~same
        ties = 0 if undefined is None else int(np.count_nonzero(differs & undefined))
        misplaced = int(np.count_nonzero(differs)) - ties

        finite = ~special
        right = expected[finite]
        error = np.abs(got[finite] - right)
        permitted = allowed[finite]
        ratio = np.divide(error, permitted, out=np.where(error > 0, np.inf, 0.0), where=permitted > 0)
        ratio[error <= _smallest_normal(actual.dtype)] = 0.0
        relative = np.divide(error, np.abs(right), out=np.zeros_like(error), where=right != 0)
    return TensorComparison(
        elements=actual.size,
        wrong=misplaced + int(np.count_nonzero(ratio > 1)),
        max_abs_error=float(np.max(error, initial=0.0)),
        max_rel_error=float(np.max(relative, initial=0.0)),
        noise_ratio=math.inf if misplaced else float(np.max(ratio, initial=0.0)),
        nan=int(np.count_nonzero(np.isnan(got))),
        inf=int(np.count_nonzero(np.isinf(got))),
        misplaced=misplaced,
        ties=ties,
        expected_rounding=None if sigma is None else float(np.max(sigma[finite], initial=0.0)),
        noise_share=None if sigma is None else _share(sigma[finite], right),
    )


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """The largest relative error of rounding a number to a floating type."""
    return float(ml_dtypes.finfo(dtype).eps) / 2  # type: ignore[no-untyped-call]


def _smallest_normal(dtype: np.dtype[Any]) -> float:
    return float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]


def _share(sigma: Array, values: Array) -> float:
    size = float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
    noise = float(np.sqrt(np.mean(np.square(sigma)))) if values.size else 0.0
    return noise / size if size else float(noise > 0)


def _compare_exactly(actual: Array, expected: Array, allowed: Array) -> TensorComparison:
    different = np.asarray(actual != expected)
    ties = int(np.count_nonzero(different & (allowed > 0)))
    wrong = int(np.count_nonzero(different)) - ties
    error = relative = 0.0
    if wrong and actual.dtype.kind in "biu" and expected.dtype.kind in "biu":
        right = expected[different].astype(np.float64)
        errors = np.abs(actual[different].astype(np.float64) - right)
        error = float(errors.max())
        relative = float(np.max(errors[right != 0] / np.abs(right[right != 0]), initial=0.0))
    return TensorComparison(
        elements=actual.size,
        wrong=wrong,
        max_abs_error=error,
        max_rel_error=relative,
        noise_ratio=math.inf if wrong else 0.0,
        ties=ties,
    )
