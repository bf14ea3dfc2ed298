"""What rounding does to rows."""

import numpy as np
import pytest

from normdeploy.validation.row_noise import RowNoise, Run, displaced, merged
from normdeploy.validation.rows import Table

RNG = np.random.default_rng(0)
NONE = np.zeros(5)
EXACT = RNG.uniform(1, 2, (20, 5))


def table(numbers):
    return Table(np.asarray(numbers, np.float64), np.empty((len(numbers), 0), np.int64))


def runs(*changes, noise=1e-6):
    """The rows with noise, each time changed by a function."""
    for seed, change in enumerate(changes):
        disturbed = EXACT + noise * np.random.default_rng(seed).normal(size=EXACT.shape)
        yield Run(table(change(disturbed)), 1.0)


def same(numbers):
    return numbers


def test_deviations_of_rows_that_move_are_those_of_rounding():
    noise = RowNoise(table(EXACT), list(runs(same, lambda rows: rows[::-1], lambda rows: rows[1:])), NONE)
    assert np.nanmax(noise.deviations) < 1e-5
    assert np.isnan(noise.deviations[2, 0]).all()
    assert noise.can_vanish.tolist() == [True] + [False] * 19
    assert len(noise.appearing) == 0


def test_a_row_that_takes_anothers_place_is_another_row():
    """One of two boxes of an object suppresses the other: they differ by 10 %."""

    def other(rows):
        rows[7] *= 1.1
        return rows

    noise = RowNoise(table(EXACT), list(runs(same, other, other)), NONE)
    assert np.nanmax(noise.deviations) < 1e-5
    assert np.flatnonzero(noise.can_vanish).tolist() == [7]
    assert len(noise.appearing) == 1  # once, though two runs had it
    np.testing.assert_allclose(noise.appearing.numbers[0], EXACT[7] * 1.1, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows(count):
    """With one row, what is usual is known from the runs in which it is there."""
    exact = table(EXACT[:count])
    disturbed = [Run(table(EXACT[:count] * (1 + 1e-7 * index)), 1.0) for index in range(1, 4)]
    found = RowNoise(exact, [*disturbed, Run(table(EXACT[:1] * 1.1), 1.0)], NONE)
    assert found.can_vanish.tolist() == [True] * count
    assert len(found.appearing) == 1
    assert found.usual.shape == (count, 5)


def test_what_is_usual_grows_with_the_amplitude():
    once = RowNoise(table(EXACT), list(runs(same, same, same)), NONE)
    larger = [Run(run.table, 5.0) for run in runs(same, same, same, noise=5e-6)]
    np.testing.assert_allclose(RowNoise(table(EXACT), larger, NONE).usual, once.usual, rtol=1e-6)


def test_numbers_without_error_tell_nothing_of_others():
    """Half of them are held exactly; then storing a number is the least that is usual."""
    exact = table([[1.0], [2.0], [3.0], [0.3]])
    disturbed = [Run(table([[1.0], [2.0], [3.0], [0.3 * (1 + 1e-6 * index)]]), 1.0) for index in (1, 2, 3)]
    found = RowNoise(exact, disturbed, np.array([1e-9]))
    np.testing.assert_allclose(found.usual[:, 0], [2e-6, 4e-6, 6e-6, 6e-7], rtol=0.01)
    assert not found.can_vanish.any()
    silent = RowNoise(exact, [Run(exact, 1.0)], np.array([1e-9]))
    np.testing.assert_allclose(silent.usual[:, 0], [1e-9, 2e-9, 3e-9, 3e-10])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2, 3], []),
        ([1, 0, 2, 3], [(0, 1)]),
        ([0, 3, 2, 1], [(1, 3)]),
        ([1, 0, 3, 2], [(0, 1), (2, 3)]),
        ([9, 2, 5], [(2, 9)]),
        ([], []),
    ],
)
def test_which_rows_changed_places(order, expected):
    assert displaced([(row, place) for place, row in enumerate(order)]) == expected


def test_intervals_that_overlap_are_one():
    assert merged([(4, 6), (0, 1), (5, 9), (1, 2)]) == [(0, 2), (4, 9)]
