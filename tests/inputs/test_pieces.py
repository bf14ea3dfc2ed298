"""Sets of arrays joined to batches."""

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.pieces import grouped, rows_per_batch, under_names

F32 = np.dtype(np.float32)


def shapes(inputs, *sets):
    pieces = grouped(inputs, ((f"set {index}", arrays) for index, arrays in enumerate(sets)))
    return [{name: column.shape for name, column in piece.columns.items()} for piece in pieces]


def ones(*shape):
    return np.ones(shape, np.float32)


def test_samples_and_batches_are_joined_until_a_batch_is_full():
    fixed = [DeclaredInput("x", F32, (4, 3))]
    assert shapes(fixed, *[{"x": ones(3)}] * 5) == [{"x": (4, 3)}, {"x": (1, 3)}]
    assert shapes(fixed, *[{"x": ones(3, 3)}] * 3) == [{"x": (6, 3)}, {"x": (3, 3)}]
    open_batch = [DeclaredInput("x", F32, ("N", 3))]
    assert shapes(open_batch, *[{"x": ones(1, 3), "labels": np.array(1)}] * 70) == [
        {"x": (64, 3), "labels": (64,)},
        {"x": (6, 3), "labels": (6,)},
    ]


def test_other_shapes_begin_a_batch():
    inputs = [DeclaredInput("x", F32, ("N", "L"))]
    assert shapes(inputs, {"x": ones(1, 5)}, {"x": ones(1, 5)}, {"x": ones(1, 7)}) == [
        {"x": (2, 5)},
        {"x": (1, 7)},
    ]


def test_without_a_common_axis_each_set_stays_as_it_is():
    inputs = [DeclaredInput("x", F32, ("L", "N")), DeclaredInput("y", F32, ("N",))]
    sets = [{"x": ones(5, 2), "y": ones(2)}] * 2
    assert shapes(inputs, *sets) == [{"x": (5, 2), "y": (2,)}] * 2


def test_scalars_belong_to_their_set():
    inputs = [DeclaredInput("x", F32, ("N", 2)), DeclaredInput("scale", F32, ())]
    assert shapes(inputs, *[{"x": ones(2), "scale": ones()}] * 2) == [{"x": (1, 2), "scale": ()}] * 2


def test_lengths_within_a_set_have_to_agree():
    inputs = [DeclaredInput("x", F32, ("N", 2))]
    with pytest.raises(
        InputError, match=r"set 0: the arrays' first axes.*differ: 'x' \[2, 2\], 'labels' \[1\]"
    ):
        shapes(
            inputs, {"x": ones(2, 2), "labels": np.ones(1, int)}, {"x": ones(1, 2), "labels": np.ones(2, int)}
        )


def test_names_have_to_fit():
    with pytest.raises(InputError, match="set 1: there is no array 'x'"):
        shapes([DeclaredInput("x", F32, ("N", 2))], {"x": ones(2)}, {})


def test_batches_of_open_size_are_limited_in_rows_and_bytes():
    small, large = [DeclaredInput("x", F32, ("N", 3))], [DeclaredInput("x", F32, ("N", 2**16))]
    assert rows_per_batch(small, {"x": (1000, 3)}) == (64, False)
    assert rows_per_batch(large, {"x": (1000, 2**16)}) == (4, False)
    assert rows_per_batch([DeclaredInput("x", F32, (7, 3))], {"x": (1000, 3)}) == (7, True)


def test_arrays_may_have_the_names_of_the_reference():
    """All of either's, since a name may stand for another input in the other model."""
    inputs = [
        DeclaredInput("a", F32, ("N", 1), alias="b"),
        DeclaredInput("b", F32, ("N", 2), alias="c"),
        DeclaredInput("d", F32, ("N", 3)),
    ]
    deployed = {"a": "A", "b": "B", "d": "D", "labels": "L"}
    assert under_names(inputs, deployed) == deployed
    assert under_names(inputs, {"b": "A", "c": "B", "d": "D", "labels": "L"}) == deployed
    mixed = {"a": "A", "c": "B", "d": "D"}
    assert under_names(inputs, mixed) == mixed
    assert shapes(inputs, {"b": ones(1), "c": ones(2), "d": ones(3)}) == [
        {"a": (1, 1), "b": (1, 2), "d": (1, 3)}
    ]
