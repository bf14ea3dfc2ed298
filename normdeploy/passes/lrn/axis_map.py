"""What a chain of operators does along one axis: a linear map of the elements of that axis.

v[p] = Σ_j m(p, j) · s[j], for s of length n. Two representations, exact both:

- `Shift`: m depends on j − p only: v[p] = Σ_o w[o] · s[p + o] with zeros outside s, for p in [0, n + extra).
  It needs no number for n: dynamic axes have it. Padding, slicing and pooling keep it.
- `Rows`: the matrix m. Whatever treats positions differently (a banded weight, running sums, channels that
  are computed one by one) makes it from a Shift where n is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normdeploy.passes.report import Refused

Dim = int | str
"""The length of an axis: a number, or the name of a dynamic one."""

LONGEST = 4096
"""Positions; a longer axis gets no matrix."""


@dataclass(frozen=True)
class Shift:
    """v[p] = Σ_t weights[t] · s[p + low + t], zeros outside s, for p in [0, n + extra)."""

    low: int = 0
    weights: tuple[float, ...] = (1.0,)
    extra: int = 0

    @property
    def high(self) -> int:
        """The largest offset."""
        return self.low + len(self.weights) - 1


@dataclass(frozen=True, eq=False)
class Rows:
    """v = matrix @ s."""

    matrix: NDArray[np.float64]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and np.array_equal(self.matrix, other.matrix)

    __hash__ = None  # type: ignore[assignment]  # maps are compared, never looked up


AxisMap = Shift | Rows
IDENTITY = Shift()


def length(axis: AxisMap, n: Dim) -> Dim:
    """The number of positions p."""
    if isinstance(axis, Rows):
        return len(axis.matrix)
    if isinstance(n, int):
        return n + axis.extra
    return n if not axis.extra else f"{n} + {axis.extra}"


def rows(axis: AxisMap, n: Dim) -> NDArray[np.float64]:
    """The map's matrix.

    Raises:
        Refused: the axis is dynamic or too long.
    """
    if isinstance(axis, Rows):
        return axis.matrix
    if not isinstance(n, int) or n > LONGEST or n + axis.extra > 2 * LONGEST:
        raise Refused(f"the length of an axis is needed and is {n}")
    matrix = np.zeros((n + axis.extra, n))
    for offset, weight in enumerate(axis.weights, start=axis.low):
        matrix += weight * np.eye(n + axis.extra, n, k=offset)
    return matrix


def pad(axis: AxisMap, n: Dim, before: int, after: int) -> AxisMap:
    """With zeros added at the ends; negative numbers take elements away."""
    if isinstance(axis, Shift):
        # v[−1], v[−2], ... are 0 as they should be if no offset is above 0; and so at the other end.
        zero_before = before <= 0 or axis.high <= 0
        zero_after = after <= 0 or axis.low >= -axis.extra
        extra = axis.extra + before + after
        if zero_before and zero_after and (isinstance(n, int) or extra >= 0):
            return Shift(axis.low - before, axis.weights, extra)
    matrix = rows(axis, n)
    kept = matrix[max(-before, 0) : matrix.shape[0] - max(-after, 0)]
    return Rows(np.pad(kept, ((max(before, 0), max(after, 0)), (0, 0))))


def correlate(axis: AxisMap, n: Dim, weights: tuple[float, ...]) -> AxisMap:
    """v'[p] = Σ_t weights[t] · v[p + t], where all of these exist."""
    if len(weights) == 1:
        return scale(axis, weights[0])
    if isinstance(axis, Shift):
        convolved = tuple(np.convolve(axis.weights, weights[::1]).tolist())
        return Shift(axis.low, convolved, axis.extra - len(weights) + 1)
    count = axis.matrix.shape[0] - len(weights) + 1
    return Rows(
        sum(
            (weight * axis.matrix[start : start + count] for start, weight in enumerate(weights)),
            np.zeros((count, axis.matrix.shape[1])),
        )
    )


def total(axis: AxisMap, n: Dim) -> AxisMap:
    """The sum over all positions, at one position."""
    return Rows(rows(axis, n).sum(axis=0, keepdims=True))


def running_sum(axis: AxisMap, n: Dim, *, exclusive: bool, reverse: bool) -> AxisMap:
    """ONNX CumSum."""
    matrix = rows(axis, n)[:: -1 if reverse else 1]
    sums = np.cumsum(matrix, axis=0)
    if exclusive:
        sums -= matrix
    return Rows(sums[:: -1 if reverse else 1])


def transform(axis: AxisMap, n: Dim, matrix: NDArray[np.float64]) -> AxisMap:
    """v' = matrix @ v."""
    return Rows(matrix @ rows(axis, n))


def scale(axis: AxisMap, factor: float) -> AxisMap:
    """All weights times a factor."""
    if factor == 1:
        return axis
    if isinstance(axis, Rows):
        return Rows(axis.matrix * factor)
    return Shift(axis.low, tuple(weight * factor for weight in axis.weights), axis.extra)


def add(first: AxisMap, second: AxisMap, n: Dim) -> AxisMap:
    """The sum of two maps of the same length."""
    if isinstance(first, Rows) or isinstance(second, Rows):
        return Rows(rows(first, n) + rows(second, n))
    low, high = min(first.low, second.low), max(first.high, second.high)
    weights = np.zeros(high - low + 1)
    for part in (first, second):
        weights[part.low - low : part.high - low + 1] += part.weights
    return Shift(low, tuple(weights.tolist()), first.extra)


@dataclass(frozen=True)
class Window:
    """v[p] = weight · Σ s[p − before .. p + after]; a reduction has one position, which stands for all."""

    before: int
    after: int
    weight: float
    reduction: bool = False


def window(axis: AxisMap, n: Dim) -> Window:
    """The map as a window with equal weights around each position.

    Raises:
        Refused: it is not one.
    """
    if isinstance(axis, Shift):
        weights = np.trim_zeros(np.array(axis.weights))
        if not weights.size:
            raise Refused("its sum is empty")
        low = axis.low + int(np.flatnonzero(axis.weights)[0])
        if axis.extra:
            raise Refused(f"its sum is {axis.extra:+d} elements longer than its input")
        if np.ptp(weights):
            raise Refused(f"the weights in its window differ: {_short(weights)}")
        return Window(-low, low + weights.size - 1, float(weights[0]))
    return _band(axis.matrix, n)


def _band(matrix: NDArray[np.float64], n: Dim) -> Window:
    reduction = matrix.shape[0] == 1 and n != 1
    if not reduction and matrix.shape[0] != n:
        raise Refused(f"its sum has {matrix.shape[0]} elements along an axis of {n}")
    weights = matrix[matrix != 0]
    if not weights.size:
        raise Refused("its sum is empty")
    if np.ptp(weights):
        raise Refused(f"the weights in its window differ: {_short(weights)}")
    count = matrix.shape[1]
    if reduction:
        if (matrix == 0).any():
            raise Refused("its sum is over a part of an axis")
        return Window(count - 1, count - 1, float(weights[0]), reduction=True)
    at, source = np.nonzero(matrix)
    before, after = max(int((at - source).max()), 0), max(int((source - at).max()), 0)
    if (matrix == 0).all(axis=1).any() or not np.array_equal(
        matrix != 0, np.tri(count, k=after, dtype=bool) & ~np.tri(count, k=-before - 1, dtype=bool)
    ):
        raise Refused("its window differs from position to position")
    return Window(before, after, float(weights[0]))


def _short(weights: NDArray[np.float64]) -> str:
    values = [f"{weight:g}" for weight in np.unique(weights)]
    return ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
