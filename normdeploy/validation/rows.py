"""Tables of rows, as they come out of NonMaxSuppression or TopK, and which row of one is which of another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.dtypes import Array, is_floating

Axes = Mapping[str, int]
"""Output -> the axis that counts its rows."""

Pairs = list[tuple[int, int]]
"""(row of the one table, row of the other); no row stands in two pairs."""

_WHOLE = 2000
"""Rows up to which each is compared with each. In longer tables, a row is compared with those near its place.
"""

_NEAR = 500
"""Rows of one block of a long table; those of the other table are looked for twice as far around it."""

_NEAREST = 8
"""Candidates of a row that are tried in turn, while others are nearer to them."""


@dataclass(frozen=True)
class Table:
    """Rows that belong together, of several outputs.

    Args:
        numbers: floating columns in float64, [rows, columns].
        labels: integers and booleans, which are equal or not.
    """

    numbers: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Sequence[int]) -> Table:
        """Some of the rows."""
        index = np.asarray(rows, dtype=np.intp)
        return Table(self.numbers[index], self.labels[index])

    def joined(self, other: Table) -> Table:
        """The rows of both, one after the other."""
        return Table(
            np.concatenate([self.numbers, other.numbers]), np.concatenate([self.labels, other.labels])
        )


def tables(outputs: Mapping[str, Array], axes: Axes, separate: bool) -> list[Table]:
    """The rows of some outputs, side by side.

    Args:
        outputs: name -> array.
        axes: name -> the axis that counts rows, for each output that takes part.
        separate: whether the axes before it count tables that have nothing to do with each other. Otherwise
            there is one table.
    """
    numbers: list[Array] = []
    labels: list[Array] = []
    for name, axis in axes.items():
        rows = as_rows(outputs[name], axis, separate)
        if is_floating(rows.dtype):
            numbers.append(rows.astype(np.float64))
        else:
            labels.append(rows.astype(np.int64))
    count, length = (numbers or labels)[0].shape[:2]
    empty = np.empty((count, length, 0))
    return [
        Table(
            np.concatenate([empty, *numbers], axis=2)[index],
            np.concatenate([empty.astype(np.int64), *labels], axis=2)[index],
        )
        for index in range(count)
    ]


def columns(outputs: Mapping[str, Array], axes: Axes, separate: bool) -> dict[str, slice]:
    """Where each output's columns stand, among a table's numbers or its labels; see `tables`."""
    found, ends = {}, {True: 0, False: 0}
    for name, axis in axes.items():
        floating = is_floating(outputs[name].dtype)
        begin = ends[floating]
        ends[floating] += as_rows(outputs[name], axis, separate).shape[2]
        found[name] = slice(begin, ends[floating])
    return found


def as_rows(array: Array, axis: int, separate: bool) -> Array:
    """[tables, rows, columns]: see `tables`."""
    if not separate:
        array, axis = np.moveaxis(array, axis, 0), 0
    leading, length, *columns = math.prod(array.shape[:axis]), *array.shape[axis:]
    return array.reshape(leading, length, math.prod(columns))


def match(left: Table, right: Table, scale: Array, limit: float = np.inf) -> Pairs:
    """Pairs of rows with equal labels, the nearest first.

    Args:
        left, right: two tables with the same columns.
        scale: what a difference of each number of `left` is measured by; [rows, columns] or [columns].
        limit: of the largest difference in a row, in units of the scale.
    """
    measured = np.broadcast_to(scale, left.numbers.shape)

    def cost(rows: slice, others: slice) -> Array:
        found = np.zeros((len(left.numbers[rows]), len(right.numbers[others])))
        for column in range(left.numbers.shape[1]):
            np.maximum(found, _differences(left, right, column, rows, others, measured), out=found)
        for column in range(left.labels.shape[1]):
            found[left.labels[rows, column, None] != right.labels[None, others, column]] = np.inf
        return found

    return _matched(len(left), len(right), cost, limit)


def match_misfits(left: Table, right: Table, scale: Array, spread: Array) -> Pairs:
    """Pairs of rows that are not the same: those with the fewest columns that differ, the nearest of these.

    A box that is wrong is still known by its score, or its score by the box.

    Args:
        left, right: two tables with the same columns.
        scale: how much a number of `left` may differ; [rows, columns].
        spread: what the distance of rows is measured by; [columns].
    """
    apart = np.broadcast_to(spread, left.numbers.shape)

    def cost(rows: slice, others: slice) -> Array:
        found = np.zeros((len(left.numbers[rows]), len(right.numbers[others])))
        distance = np.zeros(found.shape)
        for column in range(left.numbers.shape[1]):
            found += _differences(left, right, column, rows, others, scale) > 1
            np.maximum(distance, _differences(left, right, column, rows, others, apart), out=distance)
        for column in range(left.labels.shape[1]):
            found += left.labels[rows, column, None] != right.labels[None, others, column]
        return np.asarray(found + 0.5 - 0.5 / (1 + distance))

    return _matched(len(left), len(right), cost, np.inf)


def _differences(left: Table, right: Table, column: int, rows: slice, others: slice, scale: Array) -> Array:
    one, other = left.numbers[rows, column, None], right.numbers[None, others, column]
    with np.errstate(all="ignore"):
        difference = np.abs(one - other) / scale[rows, column, None]
        difference[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
        return np.asarray(np.nan_to_num(difference, nan=np.inf, posinf=np.inf))


def _matched(rows: int, others: int, cost: Callable[[slice, slice], Array], limit: float) -> Pairs:
    """One-to-one pairs of small cost, which is asked for blocks of long tables."""
    whole = rows <= _WHOLE and others <= _WHOLE
    found: list[tuple[float, int, int]] = []
    for start in range(0, rows, _NEAR):
        begin = 0 if whole else max(0, start - 2 * _NEAR)
        end = others if whole else start + 3 * _NEAR
        found += _candidates(cost(slice(start, start + _NEAR), slice(begin, end)), start, begin, limit)
    found.sort(key=lambda each: (each[0], abs(each[1] - each[2])))
    return _one_to_one(found)


def _candidates(cost: Array, row: int, other: int, limit: float) -> list[tuple[float, int, int]]:
    """The nearest pairs; rows at the same place first among those as near."""
    if not cost.size:
        return []
    near = min(_NEAREST, cost.shape[1])
    columns = np.argpartition(cost, near - 1, axis=1)[:, :near]
    found = []
    for i, nearest in enumerate(columns):
        same = {row + i - other} & set(range(cost.shape[1]))
        found += [(float(cost[i, j]), row + i, other + int(j)) for j in {*nearest.tolist(), *same}]
    return [each for each in found if each[0] <= limit and np.isfinite(each[0])]


def _one_to_one(found: Sequence[tuple[float, int, int]]) -> Pairs:
    left: set[int] = set()
    right: set[int] = set()
    pairs: Pairs = []
    for _, i, j in found:
        if i not in left and j not in right:
            left.add(i)
            right.add(j)
            pairs.append((i, j))
    return pairs
