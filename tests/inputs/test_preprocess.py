"""A user's function between the data and the model."""

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.npz import columns_of
from normdeploy.inputs.pieces import Piece
from normdeploy.inputs.preprocess import Preprocess

X = DeclaredInput("x", np.dtype(np.float32), ("N", 2))
Y = DeclaredInput("y", np.dtype(np.float32), ("N",))


def through(function, inputs, **arrays):
    pieces = [Piece("data.npz", columns_of(arrays))]
    return [found for _, found in Preprocess(function, inputs).through(pieces)]


def test_one_array_is_given_as_it_is_and_labels_stay():
    found = through(lambda x: (x / 2).astype(np.float32), [X], anything=np.ones((3, 2)), labels=np.arange(3))
    assert [each["x"].tolist() for each in found] == [[[0.5, 0.5]]] * 3
    assert [each["labels"].tolist() for each in found] == [[0], [1], [2]]


def test_several_arrays_are_given_by_name():
    def function(arrays):
        return {"x": arrays["a"], "y": arrays["b"][np.newaxis]}

    (found,) = through(function, [X, Y], a=np.ones((1, 2)), b=np.ones(1))
    assert {name: array.shape for name, array in found.items()} == {"x": (1, 2), "y": (1,)}


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (lambda x: x, [X, Y], "returns one array, and the model takes 2: return {name: array}"),
        (lambda x: np.ones((3, 2)), [X], r"'x' has shape \[3, 2\] for one sample \(sample 0 of data.npz\)"),
        (lambda x: x.nothing, [X], r"_preprocess.py:\d+: preprocessing sample 0 .*: AttributeError"),
        (lambda x: 1 / 0, [X], "ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_what_is_refused(function, inputs, message):
    with pytest.raises(InputError, match=message):
        through(function, inputs, x=np.ones((3, 2), np.float32))


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.ones((2, 2)), "y": np.ones(3)},
        {"x": np.float32(1)},
        {"labels": np.ones(3)},
        {},
        {"x": np.ones((0, 2))},
    ],
)
def test_arrays_need_a_row_for_each_sample(arrays):
    with pytest.raises(InputError, match="to be preprocessed, arrays need a row for each sample"):
        through(lambda x: x, [X], **arrays)
