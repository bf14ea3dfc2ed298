"""Why an output can't show an error."""

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.validation.power.reasons import Looks, why_blind
from tests.builders import unary


def why(op_type: str, array, moved: float = 0.0, ratio: float = 0.0) -> str:
    (output,) = inferred(unary(op_type, ["N", 3])).graph.outputs
    looks, array = Looks(), np.asarray(array)
    looks.add(array, array + moved, ratio)
    return why_blind(output, looks, "rounding may move it")


@pytest.mark.parametrize(
    ("op_type", "array", "reason"),
    [
        ("Relu", [0.0, 0.0, 0.0], "dead ReLU: every element is 0"),
        ("Relu", [0.0, 2.0, 0.0], "no element changes"),
        ("Neg", [-0.0, 0.0], "every element is 0"),
        ("Neg", [np.nan, np.nan], "every element is NaN"),
        ("Neg", [np.nan, np.inf], "every element is NaN or infinite"),
        ("Neg", [2.5, 2.5], "every element is 2.5"),
        ("Neg", [2.5, np.nan], "no element changes"),
        ("Neg", [3, 3], "every element is 3"),
        ("Neg", [1, 2], "no element changes"),
        ("Neg", [], "it has no elements"),
        ("Softmax", [[1.0, 1e-9, 0.0], [0.0, 1.0, 0.0]], "saturated softmax"),
        ("Softmax", [[0.6, 0.3, 0.1], [0.0, 1.0, 0.0]], "no element changes"),
        ("Sigmoid", [0.0, 1.0, 1e-5], "saturated sigmoid"),
        ("Sigmoid", [0.0, 1.0, 0.5], "no element changes"),
        ("Tanh", [-1.0, 1.0, 0.9999], "saturated tanh"),
        ("Tanh", [-1.0, 1.0, 0.0], "no element changes"),
        ("Clip", [-1.0, 1.0, 0.0], "saturated clip"),
    ],
)
def test_reasons(op_type, array, reason):
    assert why(op_type, array) == reason


def test_what_moves_too_little():
    assert (
        why("Neg", [1.0, 2.0], moved=1e-7, ratio=0.312)
        == "it moves 0.31 times as far as rounding may move it"
    )


def test_it_takes_every_batch():
    (output,) = inferred(unary("Relu", ["N", 3])).graph.outputs
    looks = Looks()
    for array in (np.zeros(3), np.array([0.0, 1.0, 0.0])):
        looks.add(array, array, 0.0)
    assert why_blind(output, looks, "the tolerance allows") == "no element changes"
