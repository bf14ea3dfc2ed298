"""Tensors are judged as outputs are, whatever their place in the original."""

import math

import numpy as np

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.localize.judging import comparison_by
from normdeploy.validation.localize.submodels import with_outputs
from normdeploy.validation.tolerance import Tolerance
from tests.validation.networks import RESIDUAL_INPUTS, residual_network


def exposed():
    """The network with two of its inner tensors as outputs, the network itself, and what float32 gives."""
    whole = inferred(residual_network())
    exact = Evaluator(whole).run(RESIDUAL_INPUTS, ["c1", "n"])
    return with_outputs(whole, exact), whole, {name: a.astype(np.float32) for name, a in exact.items()}


def test_inner_tensors_of_the_original_are_compared():
    part, whole, actual = exposed()
    for compare in (comparison_by(None, 0), comparison_by(Tolerance(1e-5, 1e-5), 0)):
        assert [found.wrong for found in compare(part, whole, RESIDUAL_INPUTS, actual).values()] == [0, 0]
    actual["n"] = actual["n"] * np.float32(1.01)
    found = comparison_by(None, 0)(part, whole, RESIDUAL_INPUTS, actual)
    assert found["c1"].wrong == 0
    assert found["n"].wrong > 0


def test_another_shape_is_wrong_in_every_element():
    part, whole, actual = exposed()
    actual["c1"] = actual["c1"][:1]
    found = comparison_by(None, 0)(part, whole, RESIDUAL_INPUTS, actual)["c1"]
    assert found.wrong == found.elements == actual["c1"].size
    assert found.noise_ratio == math.inf
