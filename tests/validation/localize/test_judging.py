"""Tensors are judged as outputs are, whatever their place in the original."""

import math

import numpy as np

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.localize.judging import by_rounding
from normdeploy.validation.localize.submodels import with_outputs
from tests.validation.networks import RESIDUAL_INPUTS, residual_network


def exposed():
    """The network with two of its inner tensors as outputs, the network itself, and what float32 gives."""
    whole = inferred(residual_network())
    exact = Evaluator(whole).run(RESIDUAL_INPUTS, ["c1", "n"])
    return with_outputs(whole, exact), whole, {name: a.astype(np.float32) for name, a in exact.items()}


def test_inner_tensors_of_the_original_are_compared():
    part, whole, actual = exposed()
    judge = by_rounding(0)(part, whole, RESIDUAL_INPUTS)
    assert [judge.compare(name, array).wrong for name, array in actual.items()] == [0, 0]
    assert judge.compare("c1", actual["c1"]).wrong == 0
    assert judge.compare("n", actual["n"] * np.float32(1.01)).wrong > 0


def test_the_graph_itself_is_compared_in_float64():
    _, whole, _ = exposed()
    other = inferred(residual_network(alpha=1.0001e-2))
    judge = by_rounding(0)(with_outputs(other, {"c1", "n"}), whole, RESIDUAL_INPUTS)
    assert judge.compare_graph("c1").wrong == 0
    assert judge.compare_graph("n").wrong > 0, "less than what onnxruntime rounds"


def test_another_shape_is_wrong_in_every_element():
    part, whole, actual = exposed()
    actual["c1"] = actual["c1"][:1]
    found = by_rounding(0)(part, whole, RESIDUAL_INPUTS).compare("c1", actual["c1"])
    assert found.wrong == found.elements == actual["c1"].size
    assert found.noise_ratio == math.inf
