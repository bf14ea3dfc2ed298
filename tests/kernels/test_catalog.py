"""Every choice is emulated for the operators that it is said to be made for, and says who makes it."""

import re
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.choices import BACKEND_NAMES
from normdeploy.graph.inference import inferred
from normdeploy.kernels import CHOICES, KernelArithmetic, MadeFor
from normdeploy.kernels.number_types import FLOAT16, FLOAT32
from normdeploy.reference import Evaluator
from tests.builders import Graph

RNG = np.random.default_rng(4)
PAIRS = [(choice, operator) for choice in CHOICES for operator in sorted(choice.operators)]


def one_node(op_type, dtype):
    """A model of one such node, and numbers on which a short type matters."""
    graph = Graph(dtype, opset=23 if op_type == "RMSNormalization" else 17)
    image = op_type in ("Conv", "ConvTranspose", "LRN", "BatchNormalization", "AveragePool",
                        "GlobalAveragePool", "MeanVarianceNormalization")  # fmt: skip
    shape = (2, 40, 3, 3) if image else (6, 40)
    x = graph.input("x", *shape)
    more, attributes = [], {}
    match op_type:
        case "Conv" | "ConvTranspose":
            more = [graph.normal(40, 40, 1, 1)]
        case "Gemm" | "MatMul":
            more = [graph.normal(40, 3)]
        case "LRN":
            attributes = {"size": 5, "alpha": 0.5}
        case "BatchNormalization":
            more = graph.statistics(40)
        case "LayerNormalization" | "RMSNormalization":
            more, attributes = [graph.normal(40)], {"stash_type": ir.DataType.FLOAT16.value}
        case "AveragePool":
            attributes = {"kernel_shape": [3, 3]}
        case "ReduceSum":
            more = [graph.weight([1], np.int64)]
        case name if name.startswith("Reduce"):
            attributes = {"axes": [1]}
    model = graph.model(graph.node(op_type, x, *more, **attributes))
    return model, (RNG.standard_normal(shape) * 3).astype(dtype)


@pytest.mark.parametrize(("choice", "operator"), PAIRS, ids=[f"{c.name}-{o}" for c, o in PAIRS])
def test_a_choice_changes_its_operators_a_little(choice, operator):
    model, x = one_node(operator, np.float16 if FLOAT16 in choice.types else np.float32)
    evaluator = Evaluator(inferred(model))
    (exact,) = evaluator.run({"x": x}).values()
    (best,) = evaluator.run({"x": x}, rounding=KernelArithmetic()).values()
    made = MadeFor(choice, frozenset((operator,)))
    (chosen,) = evaluator.run({"x": x}, rounding=KernelArithmetic([made])).values()
    size = np.sqrt(np.mean(np.square(exact)))
    assert chosen == pytest.approx(exact, abs=0.05 * size)
    if choice.name not in ("summation-order", "half-squares"):  # which storage in float16 hides
        assert not np.array_equal(chosen, best)
        assert np.abs(chosen - exact).max() > np.abs(best - exact).max() / 2


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_a_choice_says_who_makes_it_and_where_that_is_written(choice):
    assert choice.makers
    assert set(choice.makers) <= set(BACKEND_NAMES)
    assert all(len(maker.source) > 20 for maker in choice.makers.values())
    assert set(choice.emulations) >= choice.operators or choice.operand is not None


def test_small_squares_are_lost_before_they_are_summed():
    graph = Graph(np.float16)
    model = graph.model(graph.node("ReduceSumSquare", graph.input("x", 1, 4096), axes=[1]))
    x = np.full((1, 4096), 1e-4, np.float16)
    evaluator = Evaluator(inferred(model))
    (best,) = evaluator.run({"x": x}, rounding=KernelArithmetic()).values()
    made = [MadeFor(choice, choice.operators) for choice in CHOICES if choice.name == "half-squares"]
    (chosen,) = evaluator.run({"x": x}, rounding=KernelArithmetic(made)).values()
    assert best == pytest.approx(4.1e-5, rel=0.01)
    assert not chosen.any()


def test_float32_statistics_stay_so():
    graph = Graph(np.float16)
    x = graph.input("x", 2, 8)
    model = graph.model(graph.node("LayerNormalization", x, graph.normal(8)))
    x = (RNG.standard_normal((2, 8)) * 300).astype(np.float16)
    evaluator = Evaluator(inferred(model))
    made = [MadeFor(choice, choice.operators) for choice in CHOICES if choice.name == "half-normalization"]
    (chosen,) = evaluator.run({"x": x}, rounding=KernelArithmetic(made)).values()
    (best,) = evaluator.run({"x": x}, rounding=KernelArithmetic()).values()
    assert np.array_equal(chosen, best)


def test_float32_models_know_no_float16_choice():
    names = {choice.name for choice in CHOICES if FLOAT32 in choice.types}
    assert names == {"tf32", "flush-to-zero", "summation-order"}


def test_the_page_lists_every_choice_and_its_operators():
    page = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
    for choice in CHOICES:
        what, _ = re.findall(rf"^\| `{choice.name}` \| (.*?) \|", page, re.MULTILINE)
        assert all(operator in what for operator in choice.operators), choice.name
