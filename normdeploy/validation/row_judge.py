"""Are the rows right that a backend gives, where rounding decides how many there are and in which order?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.validation.compare import RowCounts
from normdeploy.validation.row_noise import Interval, RowNoise, displaced, spread
from normdeploy.validation.rows import Pairs, Table, match, match_misfits

_APPEARED = 6.0
"""Times the usual deviation and the factor of the verdict: a row that appeared is known from a disturbed run
only, which moved it as well, and it may be one that rounds more than others."""


@dataclass(frozen=True)
class RightRows:
    """The rows that a backend should give.

    Args:
        table: those of the reference, and after them those that may appear.
        count: how many are the reference's.
        sigma: the standard deviation of each number's rounding, [rows, columns].
        allowed: the largest permitted error of each number, [rows, columns].
        can_vanish: which of them may be missing.
        blocks: intervals of the reference's rows in which the order is open.
    """

    table: Table
    count: int
    sigma: Array
    allowed: Array
    can_vanish: Array
    blocks: Sequence[Interval]


@dataclass(frozen=True)
class JudgedRows:
    """A backend's rows beside those that they should be.

    Args:
        pairs: (row of `RightRows.table`, row of the backend's), in the order of the latter.
        counts: what became of the others.
    """

    pairs: Pairs
    counts: RowCounts


def right_rows(expected: Table, noise: RowNoise, sigma: Array, reach: Array, factor: float) -> RightRows:
    """What rounding does to the rows of the reference.

    It was measured on the deployed graph, of which the original that says what is right may give other rows.

    Args:
        expected: the rows of the reference.
        noise: what rounding does to the deployed graph's rows.
        sigma: the standard deviation of these rows' numbers, [rows, columns].
        reach: how far disturbed runs moved these numbers, where that is more.
        factor: how many standard deviations the largest error may have.
    """
    rows = dict(match(expected, noise.exact, spread(noise.exact)))
    if expected is noise.exact:
        rows = {row: row for row in range(len(expected))}
    others = [row for row in range(len(expected)) if row not in rows]
    limit = _APPEARED * factor * noise.usual_for(expected.numbers)
    known = match(expected.take(others), noise.appearing, _floor(limit[others]), limit=1.0)
    near_a_threshold = {others[row] for row, _ in known}
    deviation, allowed = limit / factor, limit.copy()
    for row, same in rows.items():
        deviation[row] = sigma[same]
        allowed[row] = np.maximum(factor * sigma[same], reach[same])
    absent = [
        row for row in range(len(noise.exact)) if row not in set(rows.values()) and noise.can_vanish[row]
    ]
    used = {other for _, other in known}
    appearing = noise.exact.take(absent).joined(
        noise.appearing.take([row for row in range(len(noise.appearing)) if row not in used])
    )
    for_new = _APPEARED * factor * noise.usual_for(appearing.numbers)
    if not len(noise.exact):  # nothing tells then how much is usual
        for_new = np.full(for_new.shape, np.inf)
    return RightRows(
        expected.joined(appearing),
        len(expected),
        np.concatenate([deviation, for_new / factor]),
        np.concatenate([allowed, for_new]),
        np.array(
            [
                row in near_a_threshold or (row in rows and bool(noise.can_vanish[rows[row]]))
                for row in range(len(expected))
            ],
            dtype=bool,
        ),
        [block for block in (_moved(block, rows) for block in noise.blocks) if block is not None],
    )


def judge_rows(actual: Table, right: RightRows) -> JudgedRows:
    """Find out which row is which.

    Args:
        actual: the backend's rows.
        right: what they should be.
    """
    count = right.count
    exact = right.table.take(range(count))
    appearing = right.table.take(range(count, len(right.table)))
    fitting = match(exact, actual, _floor(right.allowed[:count]), limit=1.0)
    left = _others(len(actual), (other for _, other in fitting))
    new = match(appearing, actual.take(left), _floor(right.allowed[count:]), limit=1.0)
    appeared = [(count + row, left[other]) for row, other in new]
    left = _others(len(actual), (other for _, other in (*fitting, *appeared)))
    absent = _others(count, (row for row, _ in fitting))
    nearest = match_misfits(
        exact.take(absent), actual.take(left), _floor(right.allowed[absent]), spread(exact)
    )
    wrong = [(absent[row], left[other]) for row, other in nearest]
    absent = _others(count, (row for row, _ in (*fitting, *wrong)))
    vanished = sum(bool(right.can_vanish[row]) for row in absent)
    counts = RowCounts(
        appeared=len(appeared),
        vanished=vanished,
        missing=len(absent) - vanished,
        surplus=len(left) - len(wrong),
        displaced=_out_of_place([*fitting, *wrong], right.blocks),
    )
    return JudgedRows(sorted([*fitting, *appeared, *wrong], key=lambda pair: pair[1]), counts)


def _others(count: int, rows: Iterable[int]) -> list[int]:
    """The rows of a table that are not among some."""
    taken = set(rows)
    return [row for row in range(count) if row not in taken]


def _floor(allowed: Array) -> Array:
    """Where nothing is allowed, only equal numbers are the same."""
    return np.asarray(np.where(allowed > 0, allowed, np.finfo(np.float64).tiny))


def _moved(block: Interval, rows: Mapping[int, int]) -> Interval | None:
    """A block of the deployed graph's rows, as one of the reference's; see `right_rows`."""
    inside = [row for row, same in rows.items() if block[0] <= same <= block[1]]
    return (min(inside), max(inside)) if inside else None


def _out_of_place(pairs: Pairs, blocks: Sequence[Interval]) -> int:
    """Rows in intervals that changed places where no disturbed run made them."""
    return sum(
        end - begin + 1
        for begin, end in displaced(pairs)
        if not any(low <= begin and end <= high for low, high in blocks)
    )
