"""Classes, accuracies and flips."""

import numpy as np
import pytest

from normdeploy.validation.accuracy import Tally, predicted_classes, scores_output


def test_the_class_is_the_place_of_the_largest_score():
    scores = np.array([[0.1, 0.9], [0.7, 0.3], [0.2, 0.8]])
    assert predicted_classes({"y": scores}, "y", 3).tolist() == [1, 0, 1]
    assert predicted_classes({"y": scores.reshape(3, 2, 1, 1)}, "y", 2).tolist() == [1, 0], (
        "rows that fill up"
    )


def test_no_class_where_a_score_is_nan():
    """It differs from every class of the reference, unless that has NaN there too."""
    scores = np.array([[np.nan, 0.9], [0.7, np.nan], [0.7, 0.3]])
    assert predicted_classes({"y": scores}, "y", 3).tolist() == [-1, -1, 0]


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ({"y": np.zeros((4, 10))}, "y"),
        ({"class": np.zeros((4, 10), int), "y": np.zeros((4, 10, 1, 1))}, "y"),
        ({"one": np.zeros((4, 1)), "y": np.zeros((4, 2))}, "y"),
        ({"other rows": np.zeros((5, 10))}, None),
        ({"flat": np.zeros(4)}, None),
        ({}, None),
    ],
)
def test_scores_have_a_row_for_each_sample(outputs, found):
    assert scores_output(outputs, rows=4) == found


def test_batches_are_added_up():
    tally = Tally()
    assert tally.accuracy is None
    tally.add(np.array([1, 2]), np.array([1, 1]), np.array([1, 1]))
    tally.add(np.array([3]), np.array([3]), np.array([0]))
    assert (tally.samples, tally.right, tally.flips) == (3, 2, 2)
    assert tally.accuracy == pytest.approx(2 / 3)


def test_flips_need_no_labels():
    tally = Tally()
    tally.add(np.array([1, 2]), None, np.array([1, 1]))
    assert (tally.samples, tally.flips, tally.accuracy) == (2, 1, None)
