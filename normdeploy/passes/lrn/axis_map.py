"""What a chain of operators does along one axis: a linear map of the elements of that axis.

v[p] = Σ_j m(p, j) · s[j], for s of length n. Two representations, exact both:

- `Stencil`: m depends on j − p only, the same weights around every position:
  v[p] = Σ_o w[o] · s[p + o] with zeros outside s, for p in [0, n + extra). It needs no number for n: dynamic
  axes have it. Padding, slicing and pooling keep it.
- `Matrix`: m itself. Whatever treats positions differently (a banded weight, running sums, channels that
  are computed one by one) makes it from a Stencil where n is known.

In the functions below `n` is the length of s, which a Stencil does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normdeploy.passes.report import Refused

Length = int | str
"""The length of an axis, never unknown: a number, or the name of a dynamic one."""

LONGEST = 4096
"""Positions; a longer axis gets no matrix."""


@dataclass(frozen=True)
class Stencil:
    """v[p] = Σ_t weights[t] · s[p + low + t], zeros outside s, for p in [0, n + extra).

    Args:
        low: the smallest offset.
        weights: those of the offsets low, low + 1, ...
        extra: how many positions v has more than s.
    """

    low: int = 0
    weights: tuple[float, ...] = (1.0,)
    extra: int = 0

    @property
    def high(self) -> int:
        """The largest offset."""
        return self.low + len(self.weights) - 1


@dataclass(frozen=True, eq=False)
class Matrix:
    """v = rows @ s.

    Args:
        rows: shape (positions of v, n).
    """

    rows: NDArray[np.float64]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matrix) and np.array_equal(self.rows, other.rows)

    __hash__ = None  # type: ignore[assignment]  # maps are compared, never looked up


AxisMap = Stencil | Matrix
IDENTITY = Stencil()


def length(axis_map: AxisMap, n: Length) -> Length:
    """The number of positions of v."""
    if isinstance(axis_map, Matrix):
        return len(axis_map.rows)
    if isinstance(n, int):
        return n + axis_map.extra
    return n if not axis_map.extra else f"{n} + {axis_map.extra}"


def matrix(axis_map: AxisMap, n: Length) -> NDArray[np.float64]:
    """The map as a matrix of shape (positions of v, n).

    Raises:
        Refused: the axis is dynamic or too long.
    """
    if isinstance(axis_map, Matrix):
        return axis_map.rows
    if not isinstance(n, int) or n > LONGEST or n + axis_map.extra > 2 * LONGEST:
        raise Refused(f"the length of an axis is needed and is {n}")
    rows = np.zeros((n + axis_map.extra, n))
    for offset, weight in enumerate(axis_map.weights, start=axis_map.low):
        rows += weight * np.eye(n + axis_map.extra, n, k=offset)
    return rows


def pad(axis_map: AxisMap, n: Length, before: int, after: int) -> AxisMap:
    """v with zeros added at its ends; negative numbers take elements away.

    Args:
        axis_map: what makes v.
        n: the length of s.
        before, after: how many zeros.

    Raises:
        Refused: this needs a matrix, and the axis is dynamic or too long.
    """
    if isinstance(axis_map, Stencil):
        # v[−1], v[−2], ... are 0 as they should be if no offset is above 0; and so at the other end.
        zero_before = before <= 0 or axis_map.high <= 0
        zero_after = after <= 0 or axis_map.low >= -axis_map.extra
        extra = axis_map.extra + before + after
        if zero_before and zero_after and (isinstance(n, int) or extra >= 0):
            return Stencil(axis_map.low - before, axis_map.weights, extra)
    rows = matrix(axis_map, n)
    kept = rows[max(-before, 0) : rows.shape[0] - max(-after, 0)]
    return Matrix(np.pad(kept, ((max(before, 0), max(after, 0)), (0, 0))))


def correlate(axis_map: AxisMap, n: Length, weights: tuple[float, ...]) -> AxisMap:
    """v'[p] = Σ_t weights[t] · v[p + t], where all of these exist."""
    if len(weights) == 1:
        return scale(axis_map, weights[0])
    if isinstance(axis_map, Stencil):
        convolved = tuple(np.convolve(axis_map.weights, weights).tolist())
        return Stencil(axis_map.low, convolved, axis_map.extra - len(weights) + 1)
    count = axis_map.rows.shape[0] - len(weights) + 1
    return Matrix(
        sum(
            (weight * axis_map.rows[start : start + count] for start, weight in enumerate(weights)),
            np.zeros((count, axis_map.rows.shape[1])),
        )
    )


def total(axis_map: AxisMap, n: Length) -> AxisMap:
    """The sum of v over all positions, at one position.

    Raises:
        Refused: the axis is dynamic or too long.
    """
    return Matrix(matrix(axis_map, n).sum(axis=0, keepdims=True))


def running_sum(axis_map: AxisMap, n: Length, *, exclusive: bool, reverse: bool) -> AxisMap:
    """ONNX CumSum of v.

    Raises:
        Refused: the axis is dynamic or too long.
    """
    rows = matrix(axis_map, n)[:: -1 if reverse else 1]
    sums = np.cumsum(rows, axis=0)
    if exclusive:
        sums -= rows
    return Matrix(sums[:: -1 if reverse else 1])


def transform(axis_map: AxisMap, n: Length, rows: NDArray[np.float64]) -> AxisMap:
    """v' = rows @ v.

    Raises:
        Refused: the axis is dynamic or too long.
    """
    return Matrix(rows @ matrix(axis_map, n))


def scale(axis_map: AxisMap, factor: float) -> AxisMap:
    """factor · v."""
    if factor == 1:
        return axis_map
    if isinstance(axis_map, Matrix):
        return Matrix(axis_map.rows * factor)
    return Stencil(axis_map.low, tuple(weight * factor for weight in axis_map.weights), axis_map.extra)


def add(first: AxisMap, second: AxisMap, n: Length) -> AxisMap:
    """The sum of two maps that make vectors of the same length.

    Raises:
        Refused: this needs a matrix, and the axis is dynamic or too long.
    """
    if isinstance(first, Matrix) or isinstance(second, Matrix):
        return Matrix(matrix(first, n) + matrix(second, n))
    low, high = min(first.low, second.low), max(first.high, second.high)
    weights = np.zeros(high - low + 1)
    for part in (first, second):
        weights[part.low - low : part.high - low + 1] += part.weights
    return Stencil(low, tuple(weights.tolist()), first.extra)


@dataclass(frozen=True)
class Window:
    """v[p] = weight · Σ s[p − before .. p + after].

    Args:
        before, after: how far the window reaches from the position.
        weight: of each element.
        reduction: whether v has one position, which stands for all.
    """

    before: int
    after: int
    weight: float
    reduction: bool = False


def window(axis_map: AxisMap, n: Length) -> Window:
    """The map as a window with equal weights around each position.

    Raises:
        Refused: it is not one.
    """
    if isinstance(axis_map, Stencil):
        weights = np.trim_zeros(np.array(axis_map.weights))
        if not weights.size:
            raise Refused("its sum is empty")
        low = axis_map.low + int(np.flatnonzero(axis_map.weights)[0])
        if axis_map.extra:
            raise Refused(f"its sum is {axis_map.extra:+d} elements longer than its input")
        if np.ptp(weights):
            raise Refused(f"the weights in its window differ: {_listed(weights)}")
        return Window(-low, low + weights.size - 1, float(weights[0]))
    return _band(axis_map.rows, n)


def _band(rows: NDArray[np.float64], n: Length) -> Window:
    """A matrix as a window: equal weights in a band around the diagonal, or everywhere in its one row."""
    reduction = rows.shape[0] == 1 and n != 1
    if not reduction and rows.shape[0] != n:
        raise Refused(f"its sum has {rows.shape[0]} elements along an axis of {n}")
    weights = rows[rows != 0]
    if not weights.size:
        raise Refused("its sum is empty")
    if np.ptp(weights):
        raise Refused(f"the weights in its window differ: {_listed(weights)}")
    count = rows.shape[1]
    if reduction:
        if (rows == 0).any():
            raise Refused("its sum is over a part of an axis")
        return Window(count - 1, count - 1, float(weights[0]), reduction=True)
    at, source = np.nonzero(rows)
    before, after = max(int((at - source).max()), 0), max(int((source - at).max()), 0)
    if (rows == 0).all(axis=1).any() or not np.array_equal(
        rows != 0, np.tri(count, k=after, dtype=bool) & ~np.tri(count, k=-before - 1, dtype=bool)
    ):
        raise Refused("its window differs from position to position")
    return Window(before, after, float(weights[0]))


def _listed(weights: NDArray[np.float64]) -> str:
    values = [f"{weight:g}" for weight in np.unique(weights)]
    return ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
