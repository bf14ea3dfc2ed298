"""Axes that count rows, and batches of chosen rows."""

import numpy as np
import pytest

from normdeploy.inputs.declared import DeclaredInput
from normdeploy.validation.invariants.rows import BatchAxis, OutputRows, batch_axes, batch_of, output_layouts

FLOAT32 = np.dtype(np.float32)


def declared(**dims):
    return [DeclaredInput(name, FLOAT32, shape) for name, shape in dims.items()]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (declared(x=("N", 3)), [({"x": 0}, None)]),
        (declared(x=(None, 3)), [({"x": 0}, None)]),
        (declared(x=(4, 3)), [({"x": 0}, 4)]),
        (declared(x=("N", 3), scale=()), [({"x": 0}, None)]),
        (declared(x=("N", 3), y=("N", "T")), [({"x": 0, "y": 0}, None), ({"y": 1}, None)]),
        (declared(x=("T", "N", 3), h=("N", 3)), [({"x": 0}, None), ({"x": 1, "h": 0}, None)]),
        (declared(x=("N", "N")), []),
        (declared(x=None), []),
        (declared(scale=()), []),
    ],
)
def test_axes_that_may_count_rows(inputs, expected):
    assert [(dict(axis.axes), axis.fixed) for axis in batch_axes(inputs)] == expected


def test_rows_are_taken_from_the_samples_and_made_where_there_are_too_few():
    axis = BatchAxis({"x": 0}, None)
    samples = [
        {"x": np.array([[1, 2, 3]]), "held": np.array([9])},
        {"x": np.array([[4, 5]]), "held": np.array([8])},  # of another shape
        {"x": np.array([[6, 7, 8]]), "held": np.array([8])},
    ]
    batch = batch_of(samples, axis, 4)
    np.testing.assert_array_equal(batch["x"], [[1, 2, 3], [6, 7, 8], [3, 1, 2], [2, 3, 1]])
    np.testing.assert_array_equal(batch["held"], [9])
    assert axis.count(batch) == 4
    np.testing.assert_array_equal(axis.take(batch, [3, 0])["x"], [[2, 3, 1], [1, 2, 3]])


def test_a_batch_along_another_axis():
    axis = BatchAxis({"x": 1}, None)
    batch = batch_of([{"x": np.arange(6).reshape(2, 3)}], axis, 2)
    np.testing.assert_array_equal(batch["x"], [[0, 1], [3, 4]])


@pytest.mark.parametrize(
    ("axis", "whole", "expected"),
    [(0, (3, 5), (2, 5)), (0, (6, 5), (4, 5)), (1, (5, 3), (5, 2)), (0, (4, 5), None), (0, (0, 5), None),
     (None, (4, 5), (4, 5))],
)  # fmt: skip
def test_the_shape_of_an_output_for_two_of_three_rows(axis, whole, expected):
    assert OutputRows(axis).shape(whole, 2, 3) == expected


def test_rows_of_an_output():
    folded = np.arange(12).reshape(6, 2)  # two entries for each of three rows
    np.testing.assert_array_equal(OutputRows(0).split(folded, 3)[1], [[4, 5], [6, 7]])
    second = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(OutputRows(1).split(second, 3)[2], [[2, 5]])
    assert OutputRows(None).split(second, 4).shape == (4, 2, 3)
    assert [layout.axis for layout in output_layouts(2)] == [0, 1, None]
