"""Graphs computed with certain kernels."""

import numpy as np
import pytest
import torch

from normdeploy.graph.inference import inferred
from normdeploy.kernels import CHOICES, KernelArithmetic, MadeFor
from normdeploy.reference import Evaluator
from tests.builders import Graph, parsed

RNG = np.random.default_rng(3)
BY_NAME = {choice.name: choice for choice in CHOICES}


def everywhere(name):
    choice = BY_NAME[name]
    return MadeFor(choice, choice.operators)


def run(model, *made, on_kernel=None, **inputs):
    evaluator = Evaluator(inferred(model))
    (y,) = evaluator.run(inputs, rounding=KernelArithmetic(made, on_kernel)).values()
    return y


def halves(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float16)


def test_each_result_is_stored_in_its_type():
    graph = Graph(np.float16)
    x = graph.input("x", "N", 4)
    model = graph.model(graph.node("Mul", graph.node("Exp", x), graph.node("Add", x, x)))
    x = halves(3, 4)
    wide = x.astype(np.float64)
    exponential = np.exp(wide).astype(np.float16).astype(np.float64)
    right = (exponential * (x + x).astype(np.float64)).astype(np.float16)
    assert np.array_equal(run(model, x=x), right)


def test_a_functions_result_is_stored_before_it_is_read():
    model = parsed(
        "double (float16[4] x) => (float16[4] y) { e = local.Power (x) y = Sub (e, x) }",
        '<domain: "local", opset_import: ["": 21]> Power (a) => (b) { s = Exp (a) b = Mul (s, s) }',
    )
    x = halves(4)
    power = np.square(np.exp(x.astype(np.float64)).astype(np.float32).astype(np.float64))
    right = (power.astype(np.float16).astype(np.float64) - x).astype(np.float16)
    assert np.array_equal(run(model, x=x), right)


def test_a_choice_is_made_for_the_nodes_that_are_named():
    graph = Graph(np.float16)
    x = graph.input("x", "N", 8, 2, 2)
    first = graph.node("LRN", x, size=3)
    model = graph.model(graph.node("LRN", first, size=3))
    x = halves(2, 8, 2, 2, scale=2000)  # a sum of squares overflows
    assert run(model, x=x).all()
    assert not run(model, everywhere("half-lrn"), x=x).any()
    evaluator = Evaluator(inferred(model))
    for node, spoiled in zip(evaluator.model.graph, (True, False), strict=True):
        made = MadeFor(BY_NAME["half-lrn"], frozenset(("LRN",)), frozenset((node,)))
        seen = evaluator.run({"x": x}, [str(evaluator.model.graph.node(0).outputs[0].name)],
                             rounding=KernelArithmetic([made]))  # fmt: skip
        assert (not next(iter(seen.values())).any()) == spoiled


def test_operands_are_rounded_to_tf32():
    graph = Graph(np.float32)
    w = RNG.standard_normal((8, 3)).astype(np.float32)
    model = graph.model(graph.node("MatMul", graph.input("x", "N", 8), graph.weight(w)))
    x = RNG.standard_normal((4, 8)).astype(np.float32)
    right = x.astype(np.float16).astype(np.float64) @ w.astype(np.float16).astype(np.float64)
    assert np.array_equal(run(model, everywhere("tf32"), x=x), right.astype(np.float32))


def test_subnormal_operands_and_results_become_zero():
    graph = Graph(np.float32)
    model = graph.model(graph.node("Mul", graph.input("x", 3), graph.weight([1e-30])))
    x = np.array([1e-5, 1e-9, 1e-39], np.float32)
    assert np.array_equal(run(model, x=x), (x.astype(float) * np.float32(1e-30)).astype(np.float32))
    flushed = run(model, everywhere("flush-to-zero"), x=x)
    assert flushed[0] > 0
    assert not flushed[1:].any()


def test_choices_at_once():
    graph = Graph(np.float16)
    w = halves(64, 2)
    model = graph.model(graph.node("MatMul", graph.input("x", 2, 64), graph.weight(w)))
    x = halves(2, 64)
    x[:, ::2] = 2**-20  # subnormal
    both = run(model, everywhere("float16-accumulators"), everywhere("flush-to-zero"), x=x)
    flushed = np.where(np.abs(x) < 2**-14, 0, x)
    without = np.where(np.abs(w) < 2**-14, 0, w)
    again = graph.model(graph.node("MatMul", "x", graph.weight(without)))
    assert np.array_equal(both, run(again, everywhere("float16-accumulators"), x=flushed))


@pytest.mark.parametrize("name", ["half-lrn", "tf32", "flush-to-zero"])
def test_an_observer_sees_what_the_best_kernel_makes_of_the_same_inputs(name):
    dtype = np.float32 if name == "tf32" else np.float16
    graph = Graph(dtype)
    x = graph.input("x", 1, 4, 2, 2)
    y = graph.node("Conv", graph.node("LRN", x, size=3, alpha=0.1), graph.normal(4, 4, 1, 1))
    model = graph.model(graph.node("Relu", y))
    x = (RNG.standard_normal((1, 4, 2, 2)) * 10).astype(dtype)
    x[0, 0] = 2**-20
    seen = {}

    def on_kernel(results):
        seen[results.call.node.op_type] = results.inputs, results.found, results.best

    run(model, everywhere(name), on_kernel=on_kernel, x=x)
    (read, *_), (found,), (best,) = seen["LRN"]
    assert np.array_equal(read, x)
    right = run(graph_of_one("LRN", dtype, size=3, alpha=0.1), x=x)
    assert np.array_equal(best, right)
    assert np.array_equal(found, best) == (name == "tf32")
    assert seen["Relu"][1][0] is not None


def graph_of_one(op_type, dtype, **attributes):
    graph = Graph(dtype)
    return graph.model(graph.node(op_type, graph.input("x", 1, 4, 2, 2), **attributes))


def test_flushing_is_what_torch_does_when_told_to():
    graph = Graph(np.float32)
    x = graph.node("Mul", graph.input("x", 1, 64), graph.weight([1e-20]))
    model = graph.model(graph.node("Mul", graph.node("Mul", x, graph.weight([1e-18])), graph.weight([1e38])))
    x = (RNG.standard_normal((1, 64)) * 10.0 ** RNG.uniform(-8, 3, (1, 64))).astype(np.float32)
    flushes = torch.set_flush_denormal(True)
    try:
        right = torch.from_numpy(x) * np.float32(1e-20) * np.float32(1e-18) * np.float32(1e38)
    finally:
        torch.set_flush_denormal(False)
    if not flushes:
        pytest.skip("this processor cannot flush subnormal numbers")
    flushed = run(model, everywhere("flush-to-zero"), x=x)
    assert np.array_equal(flushed, right.numpy())
    assert np.count_nonzero(flushed) < np.count_nonzero(run(model, x=x))
