"""Random errors of results that are rounded to a shorter type."""

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.kernels import CHOICES, MadeFor, RoundedOnce
from normdeploy.reference import Evaluator
from normdeploy.reference.rounded_numbers import RoundedNumbers
from tests.builders import Graph

RNG = np.random.default_rng(5)
TF32 = next(choice for choice in CHOICES if choice.name == "tf32")
HALF = next(choice for choice in CHOICES if choice.name == "float16-accumulators")


def errors(*made, amplitude=1.0):
    graph = Graph(np.float32)
    product = graph.node("MatMul", graph.input("x", 200, 16), graph.normal(16, 50))
    evaluator = Evaluator(inferred(graph.model(product, graph.node("Add", product, graph.normal(50)))))
    x = RNG.standard_normal((200, 16)).astype(np.float32)
    exact = evaluator.run({"x": x})
    rounding = RoundedOnce(3, amplitude, RoundedNumbers(), made)
    disturbed = evaluator.run({"x": x}, rounding=rounding)
    return [disturbed[name] / exact[name] - 1 for name in exact]


@pytest.mark.parametrize("amplitude", [1.0, 6.0])
def test_products_err_by_a_rounding_to_tf32(amplitude):
    product, _ = errors(MadeFor(TF32, TF32.operators), amplitude=amplitude)
    assert np.std(product) == pytest.approx(amplitude * 2**-11, rel=0.02)
    assert np.quantile(np.abs(product), 0.99) <= amplitude * (3**0.5 * 2**-11 + 2**-18)


def test_other_choices_and_operators_err_by_their_own_type():
    product, _ = errors(MadeFor(HALF, HALF.operators))
    assert np.median(np.abs(product)) < 2**-22
    product, _ = errors(MadeFor(TF32, frozenset(("Conv",))))
    assert np.median(np.abs(product)) < 2**-22
