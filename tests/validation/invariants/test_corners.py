"""The corners of what a model leaves open."""

import numpy as np

from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.ranges import Range
from normdeploy.validation.invariants.corners import corners
from normdeploy.validation.invariants.rows import BatchAxis

ROWS = BatchAxis({"x": 0}, None)


def declared(**dims):
    return [DeclaredInput(name, np.dtype(np.float32), shape) for name, shape in dims.items()]


def shapes(inputs, sample, batch=ROWS, rows=3, ranges=None, seen=None):
    found = corners(inputs, sample, batch, rows, ranges or {}, seen or sample)
    return [tuple(array.shape for array in corner.inputs.values()) for corner in found]


def test_nothing_is_open():
    assert shapes(declared(x=(2, 3)), {"x": np.zeros((2, 3))}, BatchAxis({"x": 0}, 2)) == []


def test_only_the_batch_is_open():
    seen = {"x": np.zeros((1, 4))}
    assert shapes(declared(x=("N", 4)), {"x": np.zeros((3, 4))}, seen=seen) == [((3, 4),)]
    assert shapes(declared(x=("N", 4)), {"x": np.zeros((3, 4))}) == [((1, 4),)]


def test_every_open_size_is_small_odd_and_mixed():
    found = shapes(declared(x=("N", 3, "H", "W")), {"x": np.zeros((3, 3, 8, 9))})
    assert found == [((1, 3, 4, 4),), ((3, 3, 9, 11),), ((1, 3, 9, 11),), ((3, 3, 4, 4),)]


def test_sizes_of_one_name_go_together_and_those_without_a_name_do_not():
    sample = {"x": np.zeros((3, 4)), "y": np.zeros((4,)), "z": np.zeros((6,))}
    found = shapes(declared(x=(3, "T"), y=("T",), z=(None,)), sample, None)
    assert found == [((3, 2), (2,), (3,)), ((3, 5), (5,), (7,)), ((3, 2), (2,), (7,)), ((3, 5), (5,), (3,))]


def test_a_range_that_a_user_gives():
    sample, ranges = {"x": np.zeros((3, 8))}, {"x": Range((2, 4), (3, 8), (6, 16))}
    assert shapes(declared(x=("N", "T")), sample, ranges=ranges) == [
        ((2, 4),), ((6, 16),), ((5, 11),), ((2, 16),), ((6, 4),)
    ]  # fmt: skip
    (narrow,) = shapes(declared(x=("N",)), {"x": np.zeros(2)}, ranges={"x": Range((4,), (4,), (4,))})
    assert narrow == ((4,),)


def test_values_are_cut_off_or_repeated_from_the_start():
    small, odd = corners(declared(x=("T",)), {"x": np.arange(4)}, None, 1, {}, {"x": np.arange(4)})
    np.testing.assert_array_equal(small.inputs["x"], [0, 1])
    np.testing.assert_array_equal(odd.inputs["x"], [0, 1, 2, 3, 0])
    assert str(odd) == "x [5]"
