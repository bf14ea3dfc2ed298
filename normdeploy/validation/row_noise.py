"""What rounding does to a table of rows: how far it moves their numbers, and which come, go or change places.

Behind NonMaxSuppression, TopK or NonZero a disturbed run may have another number of rows, or the same in
another order. Each row of the exact run is looked for in each disturbed one, as the nearest in the space of
all columns. Its deviations are those of the rows that it was found as; a row that is not found there can
vanish, and a row of the run that is none of the exact one's can appear.

Two rows are the same if no number differs by more than `_SAME` times what is usual in its column. Rows that
take each other's place (two boxes of one object, of which one suppresses the other) differ by far more, in
float32 at least; what is usual is the median over all rows and runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.validation.rows import Pairs, Table, match

_SAME = 32.0
"""Times the usual deviation: some rows round more than others."""

Interval = tuple[int, int]
"""The first and the last of some consecutive rows."""


@dataclass(frozen=True)
class Run:
    """A disturbed run.

    Args:
        table: its rows.
        amplitude: what its errors were multiplied by.
    """

    table: Table
    amplitude: float


class RowNoise:
    """What some disturbed runs did to the rows of the exact one.

    Args:
        exact: the rows without errors.
        runs: the same rows with errors; at least one.
        roundoff: relative error that storing a number makes, [columns]: at least so much is usual.

    Attributes:
        exact: as given.
        deviations: |δ| of each row's numbers, [runs, rows, columns]; NaN where a row is not in a run.
        usual: the deviation of an error of amplitude 1 that is usual for each number, [rows, columns].
        can_vanish: which rows were not in some run.
        appearing: rows that were in some run and are none of the exact ones.
        blocks: rows that changed places, as intervals that do not overlap.
    """

    def __init__(self, exact: Table, runs: Sequence[Run], roundoff: Array) -> None:
        self.exact = exact
        self._roundoff = roundoff
        found = [match(exact, run.table, spread(exact)) for run in runs]
        raw = [self._deviations(run, pairs) for run, pairs in zip(runs, found, strict=True)]
        scaled = np.array([each / run.amplitude for each, run in zip(raw, runs, strict=True)])
        self._absolute, self._relative = _medians(scaled, exact.numbers)
        self.usual = self.usual_for(exact.numbers)
        valid = [self._same(run, pairs, each) for run, pairs, each in zip(runs, found, raw, strict=True)]
        self.deviations = np.full((len(runs), *exact.numbers.shape), np.nan)
        for index, pairs in enumerate(valid):
            rows = [row for row, _ in pairs]
            self.deviations[index, rows] = raw[index][rows]
        present = [{row for row, _ in pairs} for pairs in valid]
        self.can_vanish = np.array(
            [any(row not in each for each in present) for row in range(len(exact))], dtype=bool
        )
        self.appearing = self._appearing(runs, valid)
        self.blocks = merged(interval for pairs in valid for interval in displaced(pairs))

    def usual_for(self, numbers: Array) -> Array:
        """The deviation that is usual for rows with such numbers, [rows, columns]."""
        with np.errstate(all="ignore"):
            size = np.nan_to_num(np.abs(numbers), posinf=0.0)
        relative = np.maximum(self._relative, self._roundoff)
        return np.asarray(np.maximum(self._absolute, relative * size))

    def _deviations(self, run: Run, pairs: Pairs) -> Array:
        deviations = np.full(self.exact.numbers.shape, np.nan)
        if pairs:
            rows, others = (list(each) for each in zip(*pairs, strict=True))
            with np.errstate(all="ignore"):
                deviations[rows] = np.abs(self.exact.numbers[rows] - run.table.numbers[others])
        return deviations

    def _same(self, run: Run, pairs: Pairs, deviations: Array) -> Pairs:
        """Those pairs that are the same row."""
        limit = _SAME * run.amplitude * self.usual
        return [pair for pair in pairs if not np.any(np.nan_to_num(deviations[pair[0]]) > limit[pair[0]])]

    def _appearing(self, runs: Sequence[Run], valid: Sequence[Pairs]) -> Table:
        """Rows of the runs that are none of the exact ones, each once."""
        found = self.exact.take([])
        for run, pairs in zip(runs, valid, strict=True):
            known = {other for _, other in pairs}
            rest = run.table.take([row for row in range(len(run.table)) if row not in known])
            limit = _SAME * run.amplitude * self.usual_for(rest.numbers)
            old = {row for row, _ in match(rest, found, limit, limit=1.0)}
            found = found.joined(rest.take([row for row in range(len(rest)) if row not in old]))
        return found


def displaced(pairs: Pairs) -> list[Interval]:
    """Which rows changed places among each other: intervals of the first table's rows, none of one row.

    Args:
        pairs: (row of the first table, row of the second).
    """
    order = [row for row, _ in sorted(pairs, key=lambda pair: pair[1])]
    ranks = sorted(order)
    found = []
    begin, largest = 0, -1
    for index, row in enumerate(order):
        largest = max(largest, row)
        if largest == ranks[index]:  # the rows so far are those that stand so far in the first table, too
            if index > begin:
                found.append((ranks[begin], ranks[index]))
            begin = index + 1
    return found


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals with those that overlap made one."""
    found: list[Interval] = []
    for begin, end in sorted(intervals):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def spread(table: Table) -> Array:
    """How much the numbers of each column differ from row to row, which tells how near two rows are."""
    with np.errstate(all="ignore"):
        finite = np.where(np.isfinite(table.numbers), table.numbers, 0.0)
    if not len(table):
        return np.ones(table.numbers.shape[1])
    spread = finite.max(axis=0) - finite.min(axis=0)
    size = np.abs(finite).max(axis=0)
    return np.asarray(np.where(spread > 0, spread, np.where(size > 0, size, 1.0)))


def _medians(scaled: Array, numbers: Array) -> tuple[Array, Array]:
    """The median deviation of each column, and the median relative one; 0 where no number has any.

    Numbers without any are left out: half of a column may be of those that a type holds exactly.
    """
    columns = numbers.shape[1]
    absolute, relative = np.zeros(columns), np.zeros(columns)
    with np.errstate(all="ignore"):
        shares = scaled / np.abs(numbers)
    for column in range(columns):
        for into, values in ((absolute, scaled[..., column]), (relative, shares[..., column])):
            known = values[np.isfinite(values) & (values > 0)]
            into[column] = np.median(known) if known.size else 0.0
    return absolute, relative
