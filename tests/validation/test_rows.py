"""Which row of one table is which of another."""

import numpy as np

from normdeploy.validation import rows
from normdeploy.validation.rows import Table, as_rows, columns, match, match_misfits, tables


def table(numbers, labels=()):
    numbers = np.asarray(numbers, np.float64)
    labels = np.asarray(labels, np.int64) if len(labels) else np.empty((len(numbers), 0), np.int64)
    return Table(numbers, labels)


def test_outputs_side_by_side():
    outputs = {"boxes": np.arange(8.0).reshape(1, 2, 4), "classes": np.array([[5, 6]])}
    (found,) = tables(outputs, {"boxes": 1, "classes": 1}, separate=False)
    assert found.numbers.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert found.labels.tolist() == [[5], [6]]
    assert columns(outputs, {"boxes": 1, "classes": 1}, False) == {
        "boxes": slice(0, 4),
        "classes": slice(0, 1),
    }


def test_axes_before_the_rows_are_columns_or_tables():
    coordinates = np.array([[0, 0, 1], [2, 3, 4]])  # as NonZero gives them
    assert as_rows(coordinates, 1, separate=False).tolist() == [[[0, 2], [0, 3], [1, 4]]]
    assert as_rows(coordinates, 1, separate=True).tolist() == [[[0], [0], [1]], [[2], [3], [4]]]


def test_no_rows_keep_their_columns():
    (found,) = tables({"boxes": np.empty((0, 4))}, {"boxes": 0}, separate=False)
    assert (len(found), found.numbers.shape, found.labels.shape) == (0, (0, 4), (0, 0))


def test_rows_find_each_other_wherever_they_stand():
    left = table([[1, 10], [2, 20], [3, 30]])
    right = table([[3.01, 30], [1, 10.02], [9, 90], [2, 20]])
    assert sorted(match(left, right, np.ones(2), limit=1.0)) == [(0, 1), (1, 3), (2, 0)]


def test_the_nearest_pair_comes_first_and_no_row_is_taken_twice():
    left, right = table([[1.0], [1.2]]), table([[1.15], [5.0]])
    assert match(left, right, np.ones(1)) == [(1, 0), (0, 1)]
    assert match(left, right, np.ones(1), limit=1.0) == [(1, 0)]


def test_rows_with_other_labels_are_no_pair():
    left, right = table([[1.0], [2.0]], [[0], [1]]), table([[1.0], [2.0]], [[1], [1]])
    assert match(left, right, np.ones(1)) == [(1, 1)]


def test_nan_equals_nan_and_nothing_else():
    left = table([[np.nan], [1.0], [np.inf]])
    assert sorted(match(left, table([[1.0], [np.nan], [np.inf]]), np.ones(1))) == [(0, 1), (1, 0), (2, 2)]


def test_equal_rows_are_matched_in_their_places():
    """Padding: more equal rows than candidates are tried."""
    zeros = table(np.zeros((40, 2)))
    assert sorted(match(zeros, zeros, np.ones(2))) == [(row, row) for row in range(40)]


def test_long_tables_are_matched_in_blocks(monkeypatch):
    monkeypatch.setattr(rows, "_WHOLE", 10)
    monkeypatch.setattr(rows, "_NEAR", 8)
    numbers = np.random.default_rng(0).normal(size=(100, 3))
    kept = np.delete(np.arange(100), [3, 50, 51])
    found = match(table(numbers), table(numbers[kept] + 1e-9), np.full(3, 1e-6), limit=1.0)
    assert sorted(found) == [(int(row), place) for place, row in enumerate(kept)]


def test_a_wrong_row_is_known_by_its_right_columns():
    """Both boxes are wrong, and nearer to each other's place; the scores are right."""
    expected = table([[0.0, 0.9], [1.0, 0.8]])
    actual = table([[1.1, 0.9], [0.1, 0.8]])
    pairs = match_misfits(expected, actual, np.full((2, 2), 1e-3), np.array([1.0, 0.1]))
    assert sorted(pairs) == [(0, 0), (1, 1)]
