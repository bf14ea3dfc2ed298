"""Maps along an axis against explicit matrices, with and without a number for the axis's length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.axis_map import IDENTITY, LONGEST, AxisMap, Matrix, Stencil, Window
from normdeploy.passes.report import Refused

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)
small = st.integers(-3, 3)
weights = st.lists(small.map(float), min_size=1, max_size=4).map(tuple)
STEPS = {
    "pad": st.tuples(small, small),
    "correlate": st.tuples(weights),
    "scale": st.tuples(small.map(float)),
    "running_sum": st.tuples(st.booleans(), st.booleans()),
    "reverse": st.tuples(),
    "total": st.tuples(),
}
steps = st.sampled_from(list(STEPS)).flatmap(lambda name: STEPS[name].map(lambda given: (name, *given)))


def apply(step: tuple, current: AxisMap, n: axis_map.Length) -> AxisMap:
    """One step, by the functions under test."""
    match step:
        case ("pad", before, after):
            return axis_map.pad(current, n, before, after)
        case ("correlate", line):
            return axis_map.correlate(current, n, line)
        case ("scale", factor):
            return axis_map.scale(current, factor)
        case ("running_sum", exclusive, reverse):
            return axis_map.running_sum(current, n, exclusive=exclusive, reverse=reverse)
        case ("reverse",):
            count = axis_map.length(current, n)
            if not isinstance(count, int):
                raise Refused("a matrix needs a number")
            return axis_map.transform(current, n, np.eye(count)[::-1])
        case _:
            return axis_map.total(current, n)


def explicit(step: tuple, rows: np.ndarray) -> np.ndarray:
    """The same step on the rows of the whole matrix."""
    match step:
        case ("pad", before, after):
            kept = rows[max(-before, 0) : len(rows) - max(-after, 0)]
            return np.pad(kept, ((max(before, 0), max(after, 0)), (0, 0)))
        case ("correlate", line):
            count = len(rows) - len(line) + 1
            return sum(weight * rows[t : t + count] for t, weight in enumerate(line)) + np.zeros((count, 1))
        case ("scale", factor):
            return factor * rows
        case ("running_sum", exclusive, reverse):
            ordered = rows[::-1] if reverse else rows
            sums = np.array([ordered[: p + (not exclusive)].sum(axis=0) for p in range(len(ordered))])
            return sums[::-1] if reverse else sums
        case ("reverse",):
            return rows[::-1]
        case _:
            return rows.sum(axis=0, keepdims=True)


def taken(step: tuple) -> int:
    """How many positions a step takes away at most."""
    match step:
        case ("pad", before, after):
            return max(-before, 0) + max(-after, 0)
        case ("correlate", line):
            return len(line) - 1
        case _:
            return 0


@SETTINGS
@given(st.integers(1, 7), st.lists(steps, max_size=6))
def test_steps_of_a_known_length(n, chain):
    current, rows = IDENTITY, np.eye(n)
    for step in chain:
        if len(rows) - taken(step) < 1:
            continue
        current, rows = apply(step, current, n), explicit(step, rows)
        assert axis_map.length(current, n) == len(rows)
        np.testing.assert_allclose(
            axis_map.matrix(current, n), rows, rtol=0, atol=1e-9 * (1 + abs(rows).max())
        )


@SETTINGS
@given(st.lists(steps, max_size=6))
def test_steps_of_a_dynamic_length_hold_for_every_number(chain):
    """Those that need no matrix; the others are refused."""
    current, taken_in_order = IDENTITY, []
    for step in chain:
        try:
            current = apply(step, current, "n")
        except Refused:
            continue
        taken_in_order.append(step)
    assert isinstance(current, Stencil)
    for n in (30, 31):
        rows = np.eye(n)
        for step in taken_in_order:
            rows = explicit(step, rows)
        np.testing.assert_allclose(
            axis_map.matrix(current, n), rows, rtol=0, atol=1e-9 * (1 + abs(rows).max())
        )


@SETTINGS
@given(st.integers(1, 7), st.lists(steps, max_size=4), st.lists(steps, max_size=4))
def test_sums(n, first, second):
    maps = []
    for chain in (first, second):
        current = IDENTITY
        for step in chain:
            if int(axis_map.length(current, n)) > taken(step):
                current = apply(step, current, n)
        maps.append(current)
    assume(axis_map.length(maps[0], n) == axis_map.length(maps[1], n))
    found = axis_map.matrix(axis_map.add(*maps, n), n)
    expected = axis_map.matrix(maps[0], n) + axis_map.matrix(maps[1], n)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def band(n: int, before: int, after: int) -> np.ndarray:
    return np.tri(n, k=after) - np.tri(n, k=-before - 1)


@SETTINGS
@given(st.integers(2, 7), st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.5, -2.0]))
def test_the_window_of_a_band(n, before, after, weight):
    """Windows that reach beyond both ends everywhere are the same window."""
    found = axis_map.window(Matrix(weight * band(n, before, after)), n)
    assert found == Window(min(before, n - 1), min(after, n - 1), weight)


@SETTINGS
@given(st.integers(2, 4).flatmap(lambda n: st.lists(st.integers(0, 1), min_size=n * n, max_size=n * n)))
def test_a_window_is_found_if_and_only_if_there_is_one(entries):
    n = int(np.sqrt(len(entries)))
    rows = np.array(entries, dtype=float).reshape(n, n)
    bands = [band(n, before, after) for before in range(n) for after in range(n)]
    is_band = any(np.array_equal(rows, one) for one in bands)
    try:
        found = axis_map.window(Matrix(rows), n)
    except Refused:
        assert not is_band
    else:
        np.testing.assert_array_equal(rows, band(n, found.before, found.after))


@pytest.mark.parametrize("n", ["n", 9])
@pytest.mark.parametrize(("before", "size"), [(1, 3), (0, 2), (3, 3), (2, 5)])
def test_the_window_of_a_padded_sum(n, before, size):
    summed = axis_map.correlate(axis_map.pad(IDENTITY, n, before, size - 1 - before), n, (0.5,) * size)
    assert axis_map.window(summed, n) == Window(before, size - 1 - before, 0.5)


def test_zeros_around_a_window_do_not_count():
    assert axis_map.window(Stencil(-2, (0.0, 3.0, 3.0, 0.0, 0.0), 0), "n") == Window(1, 0, 3.0)


@pytest.mark.parametrize("n", [1, 4])
def test_the_sum_of_all_is_a_window_that_holds_all(n):
    found = axis_map.window(axis_map.total(IDENTITY, n), n)
    assert (found.before, found.after, found.weight) == (n - 1, n - 1, 1)
    assert found.reduction == (n > 1)


@pytest.mark.parametrize(
    ("along", "n", "reason"),
    [
        (Stencil(0, (0.0,), 0), "n", "its sum is empty"),
        (Stencil(0, (1.0, 2.0), 0), "n", "the weights in its window differ: 1, 2"),
        (Stencil(0, (1.0,), 2), "n", "its sum is +2 elements longer than its input"),
        (Stencil(0, (1.0,), -1), "n", "its sum is -1 elements longer than its input"),
        (Matrix(np.zeros((3, 3))), 3, "its sum is empty"),
        (Matrix(np.diag([1.0, 2, 3, 4, 5])), 5, "the weights in its window differ: 1, 2, 3, 4, ..."),
        (Matrix(np.ones((2, 3))), 3, "its sum has 2 elements along an axis of 3"),
        (Matrix(np.array([[1.0, 0, 1]])), 3, "its sum is over a part of an axis"),
        (Matrix(np.array([[1.0, 0], [1, 1]]) @ np.eye(2)[::-1]), 2, "its window differs from position"),
    ],
)
def test_what_is_no_window(along, n, reason):
    with pytest.raises(Refused) as raised:
        axis_map.window(along, n)
    assert str(raised.value).startswith(reason)


def test_lengths():
    assert axis_map.length(IDENTITY, "n") == "n"
    assert axis_map.length(Stencil(extra=2), "n") == "n + 2"
    assert axis_map.length(Stencil(extra=-1), 5) == 4
    assert axis_map.length(Matrix(np.ones((2, 5))), 5) == 2


@pytest.mark.parametrize("n", ["n", LONGEST + 1])
def test_no_matrix_without_a_number_or_of_a_long_axis(n):
    with pytest.raises(Refused, match=f"the length of an axis is needed and is {n}"):
        axis_map.matrix(IDENTITY, n)


def test_maps_are_compared_by_their_numbers():
    assert Matrix(np.eye(2)) == Matrix(np.eye(2))
    assert Matrix(np.eye(2)) != Matrix(2 * np.eye(2))
    assert Matrix(np.eye(2)) != IDENTITY
    with pytest.raises(TypeError, match="unhashable"):
        hash(Matrix(np.eye(2)))
