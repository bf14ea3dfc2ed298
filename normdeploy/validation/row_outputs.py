"""The outputs of a model whose rows rounding can add, take away or reorder, judged row by row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.validation.compare import TensorComparison, compare, unit_roundoff
from normdeploy.validation.noise import RoundingNoise, factor, moderated
from normdeploy.validation.row_judge import JudgedRows, RightRows, judge_rows, right_rows
from normdeploy.validation.row_noise import RowNoise, Run
from normdeploy.validation.rows import Axes, as_rows, columns, tables

Outputs = Mapping[str, Array]

_MOST = 2**20
"""Elements of an output whose rows are looked at: more are a picture, not a list."""

_AMPLIFIED = 16
"""Runs with amplified errors, where rows come, go or change places: one in which rounding alone decides does
so in half of them, and in none of sixteen with a probability of 2⁻¹⁶."""

_MOST_ROWS = 2000
"""Of an output that has room for the rows that are selected: a longer one is no such table."""

_LARGE = 0.01
"""Rounding, as a share of an output, from which on rows may be what moved."""

_EXPLAINED = 0.5
"""Of the rows of such a table that are in every disturbed run: where fewer are, it is no table of rows."""


@dataclass(frozen=True)
class Judged:
    """An output of a backend, judged.

    Args:
        comparison: over all elements.
        actual, expected: the elements that belong together, side by side.
    """

    comparison: TensorComparison
    actual: Array
    expected: Array


Plain = Callable[[str], Judged]
"""Judges one output of the batch element by element."""


class RowGroup:
    """Outputs whose rows belong together, for one batch.

    Args:
        names: of the outputs.
        exact: gives the deployed graph's outputs without errors.
        noise: its runs with errors.
        lengths: how many rows were selected, in its graph.
    """

    def __init__(
        self,
        names: Sequence[str],
        exact: Callable[[], Outputs],
        noise: RoundingNoise,
        lengths: Collection[int],
    ) -> None:
        self._names = names
        self._exact = exact
        self._noise = noise
        self._lengths = lengths
        self._known: dict[Hashable, _Rows] = {}

    def judge(self, actual: Outputs, expected: Outputs, plain: Plain) -> dict[str, Judged]:
        """Judge those of the group's outputs that the backend gave, and of which it gave the right kind.

        Args:
            actual: what a backend gave.
            expected: the right outputs.
            plain: judges what has no rows.
        """
        best: dict[str, Judged] = {}
        wrong = (True, math.inf)
        for amplified in (0, _AMPLIFIED):
            for axes, separate in self._choices(actual, expected, amplified):
                found: dict[str, Judged] = {}
                for group in axes:
                    found |= self._rows(group, separate, amplified, actual).judge(actual, expected)
                rest = [name for name in self._names if name not in found and fits(name, actual, expected)]
                found |= {name: plain(name) for name in rest}
                found |= self._with_room(rest, found, actual, expected)
                outcome = self._changes_shape(rest), _wrong(found)
                if not best or outcome < wrong:
                    best, wrong = found, outcome
            if wrong == (False, 0):
                break
        return best

    def _changes_shape(self, names: Sequence[str]) -> bool:
        """Whether a disturbed run gave one of these outputs another shape: no element was measured then."""
        runs = self._noise.known_runs
        return any(run[name].shape != self._exact()[name].shape for name in names for run in runs)

    def _with_room(
        self, names: Sequence[str], judged: Mapping[str, Judged], actual: Outputs, expected: Outputs
    ) -> dict[str, Judged]:
        """Tables of a fixed length with room for the rows that are selected, judged row by row.

        It matters where an element is only right because rounding moves rows, or wrong for that reason.

        Args:
            names: of outputs of which no axis counts just these rows.
            judged: how they are, element by element.
            actual, expected: what a backend gave, and the right outputs.
        """
        tables_of: dict[tuple[int, ...], dict[str, int]] = defaultdict(dict)
        for name in names:
            shape = expected[name].shape
            room = [size for size in shape if size >= max(self._lengths, default=math.inf)]
            if room and 1 < min(room) <= _MOST_ROWS and _comparable([actual[name], expected[name]]):
                axis = shape.index(min(room))
                tables_of[shape[: axis + 1]][name] = axis
        found: dict[str, Judged] = {}
        for key, axes in tables_of.items():
            before = {name: judged[name] for name in axes}
            if sum(expected[name].size // math.prod(key) for name in axes) < 2:
                continue  # a list of numbers may be anything
            jumps = any(self._jumps(name, each) for name, each in before.items())
            if not _wrong(before) and not jumps:
                continue
            rows = self._rows(axes, True, _AMPLIFIED, actual)
            after = rows.judge(actual, expected) if rows.stays >= _EXPLAINED else before
            if jumps or _wrong(after) < _wrong(before):
                found |= after
        return found

    def _jumps(self, name: str, judged: Judged) -> bool:
        """Whether an output that is right owes that to rows that rounding moves."""
        if judged.expected.dtype != np.float64:
            return not np.array_equal(judged.actual, judged.expected)
        sigma = self._noise.expected(name)
        with np.errstate(all="ignore"):
            error = np.abs(judged.actual.astype(np.float64) - judged.expected)
        share = judged.comparison.noise_share
        return share is None or share > _LARGE or bool(np.any(error > factor(sigma.size) * sigma))

    def _rows(self, axes: Axes, separate: bool, amplified: int, actual: Outputs) -> _Rows:
        roundoff = {
            name: unit_roundoff(actual[name].dtype) for name in axes if is_floating(actual[name].dtype)
        }
        key = (*axes.items(), separate, amplified, *roundoff.values())
        if key not in self._known:
            self._known[key] = _Rows(axes, separate, self._exact(), self._noise, amplified, roundoff)
        return self._known[key]

    def _choices(
        self, actual: Outputs, expected: Outputs, amplified: int
    ) -> Iterator[tuple[list[Axes], bool]]:
        """Which axes may count rows: those that differ from run to run, or else each in turn.

        Outputs of which the same number of rows is there in every run belong together.
        """
        seen = [self._exact(), expected, actual, *(run for _, run in self._noise.runs(amplified))]
        shapes = {
            name: [each[name].shape for each in seen]
            for name in self._names
            if name in actual and _comparable([each[name] for each in seen])
        }
        groups: dict[tuple[int, ...], dict[str, int]] = defaultdict(dict)
        for name, found in shapes.items():
            axis = _varying_axis(found)
            if axis is not None:
                groups[tuple(shape[axis] for shape in found)][name] = axis
        if groups:
            yield list(groups.values()), False
            return
        lengths = {length for found in shapes.values() for length in found[0] if length in self._lengths}
        for length in sorted(lengths - {1}, reverse=True):
            axes = {name: found[0].index(length) for name, found in shapes.items() if length in found[0]}
            yield list(_of_equal_leading(axes, expected)), True
        if lengths <= {1}:
            yield [], True


class _Rows:
    """The rows of some outputs, along given axes.

    Attributes:
        stays: share of the rows that are there in every disturbed run.
    """

    def __init__(
        self,
        axes: Axes,
        separate: bool,
        exact: Outputs,
        noise: RoundingNoise,
        amplified: int,
        roundoff: Mapping[str, float],
    ) -> None:
        self._axes, self._separate = axes, separate
        self._columns = columns(exact, axes, separate)
        units = np.zeros(
            max((part.stop for name, part in self._columns.items() if name in roundoff), default=0)
        )
        for name, unit in roundoff.items():
            units[self._columns[name]] = unit
        amplitudes, runs = zip(*noise.runs(amplified), strict=True)
        whole = tables(exact, axes, separate)
        disturbed = [tables(run, axes, separate) for run in runs]
        self._noise = [
            RowNoise(
                table,
                [Run(each[index], size) for each, size in zip(disturbed, amplitudes, strict=True)],
                units,
            )
            for index, table in enumerate(whole)
        ]
        deviations = np.array([each.deviations for each in self._noise])  # [tables, runs, rows, columns]
        numbers = np.array([each.numbers for each in whole])
        plain = len(runs) - amplified
        self._sigma = np.zeros(numbers.shape)
        for name, part in self._columns.items():
            if is_floating(exact[name].dtype):
                measured = [deviations[:, index, :, part] for index in range(plain)]
                self._sigma[..., part] = moderated(numbers[..., part], measured)
        self.stays = 1 - float(
            np.mean([each.can_vanish.mean() if len(each.exact) else 0 for each in self._noise])
        )
        known = ~np.isnan(deviations[:, plain:])
        self._reach = np.max(deviations[:, plain:], axis=1, initial=0.0, where=known)

    def judge(self, actual: Outputs, expected: Outputs) -> dict[str, Judged]:
        """Judge the outputs; `actual` and `expected` have them all, of the same rank."""
        size = factor(max(expected[name].size for name in self._axes))
        wanted = tables(expected, self._axes, self._separate)
        given = tables(actual, self._axes, self._separate)
        found: dict[str, Judged] = {}
        for index, noise in enumerate(self._noise):
            right = right_rows(wanted[index], noise, self._sigma[index], self._reach[index], size)
            judged = judge_rows(given[index], right)
            for name, part in self._columns.items():
                rows = as_rows(actual[name], self._axes[name], self._separate)[index]
                aligned = _aligned(rows, right, judged, part, is_floating(expected[name].dtype))
                found[name] = _joined(found[name], aligned) if name in found else aligned
        return found


def _aligned(rows: Array, right: RightRows, judged: JudgedRows, part: slice, floating: bool) -> Judged:
    """One output's rows beside those that they should be, and what follows."""
    index = [row for row, _ in judged.pairs]
    actual = rows[[other for _, other in judged.pairs]]
    source = right.table.numbers if floating else right.table.labels
    expected = source[index, part]
    if floating:
        found = compare(actual, expected, right.allowed[index, part], right.sigma[index, part])
    else:
        found = compare(actual, expected)
    counts = judged.counts
    width = rows.shape[1]
    elements = found.elements + (counts.missing + counts.surplus) * width
    found = replace(
        found,
        elements=elements,
        wrong=min(found.wrong + counts.wrong * width, elements),
        noise_ratio=math.inf if counts.wrong else found.noise_ratio,
        rows=counts,
    )
    return Judged(found, actual, expected)


def _joined(left: Judged, right: Judged) -> Judged:
    return Judged(
        left.comparison + right.comparison,
        np.concatenate([left.actual, right.actual]),
        np.concatenate([left.expected, right.expected]),
    )


def _wrong(found: Mapping[str, Judged]) -> int:
    return sum(each.comparison.wrong for each in found.values())


def fits(name: str, actual: Outputs, expected: Outputs) -> bool:
    """Whether an output is there, and has the shape and the kind of type that it should have."""
    return (
        name in actual
        and actual[name].shape == expected[name].shape
        and is_floating(actual[name].dtype) == is_floating(expected[name].dtype)
    )


def _comparable(arrays: Sequence[Array]) -> bool:
    """Whether arrays are tables of the same kind of thing, so that rows of one may be rows of another."""
    first = arrays[0]
    return all(
        array.ndim == first.ndim > 0
        and array.size <= _MOST
        and is_floating(array.dtype) == is_floating(first.dtype)
        and (is_floating(array.dtype) or array.dtype.kind in "biu")
        for array in arrays
    )


def _varying_axis(shapes: Sequence[tuple[int, ...]]) -> int | None:
    """The only axis in which shapes of the same rank differ."""
    axes = [axis for axis, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
    return axes[0] if len(axes) == 1 else None


def _of_equal_leading(axes: Axes, outputs: Outputs) -> Iterator[Axes]:
    """Axes in groups of outputs that have as many tables each."""
    groups: dict[tuple[int, ...], dict[str, int]] = defaultdict(dict)
    for name, axis in axes.items():
        groups[outputs[name].shape[:axis]][name] = axis
    yield from groups.values()
