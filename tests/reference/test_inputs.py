"""The arrays that a caller gives, against the inputs that a graph declares."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.errors import InputError, ModelError
from normdeploy.reference import evaluate
from tests.builders import parsed

ROOT = "g (float[N, 3] x) => (float[N, 3] y) { y = Sqrt (x) }"


def test_an_input_with_an_initializer_may_be_left_out_or_overridden():
    model = parsed("g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Mul (x, w) }")
    x = np.array([10.0, 10.0])
    assert evaluate(model, {"x": x})["y"].tolist() == [10, 20]
    assert evaluate(model, {"x": x, "w": np.array([3.0, 4.0])})["y"].tolist() == [30, 40]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is missing: expected float [N, 3]"),
        ({"X": np.ones((1, 3))}, "the model has no input 'X': its inputs are 'x'"),
        (
            {"x": np.ones((1, 3), np.int64)},
            "input 'x': expected float [N, 3], given int64 [1, 3]",
        ),
        ({"x": np.ones((1, 4))}, "input 'x': expected float [N, 3], given float64 [1, 4]"),
        ({"x": np.ones(3)}, "input 'x': expected float [N, 3], given float64 [3]"),
        ({"x": np.array([["a"] * 3])}, "input 'x': expected float [N, 3], given <U1 [1, 3]"),
        ({"x": np.array([[None] * 3])}, "input 'x': expected float [N, 3], given object [1, 3]"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(InputError) as caught:
        evaluate(parsed(ROOT), inputs)
    assert str(caught.value) == message


def test_ragged_input():
    with pytest.raises(InputError, match=r"input 'x': expected float \[N, 3\], given what makes no array"):
        evaluate(parsed(ROOT), {"x": [[1, 2, 3], [1]]})


def test_sequences_are_refused():
    model = parsed("g (seq(float[N]) s, float[N] x) => (float[N] y) { y = Sqrt (x) }")
    with pytest.raises(ModelError, match=r"^input 's' is no tensor: "):
        evaluate(model, {"x": np.ones(1)})


def test_a_name_of_an_unknown_size_takes_any():
    model = parsed("g (float[N, N] x) => (float[A, B] y) { y = Sqrt (x) }")
    assert evaluate(model, {"x": np.ones((1, 3))})["y"].shape == (1, 3)
