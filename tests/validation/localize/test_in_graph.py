"""Two graphs that should compute the same, and the node that does not."""

import numpy as np
import pytest
from onnx import helper

from normdeploy.graph.inference import inferred
from normdeploy.validation.localize import in_graph
from normdeploy.validation.localize.in_graph import localize_in_graph
from tests.builders import FLOAT, model
from tests.validation.localize.fixed_tolerance import ByFixedTolerance
from tests.validation.networks import RESIDUAL_INPUTS, residual_network


def search(deployed, original=None, inputs=RESIDUAL_INPUTS):
    original = residual_network() if original is None else original
    return localize_in_graph(inferred(deployed), inferred(original), inputs, ByFixedTolerance)


def test_a_wrong_node_of_the_deployed_graph_is_named():
    found = search(residual_network(alpha=5e-2))
    assert (found.first.node, found.first.op_type, found.first.output) == ("lrn", "LRN", "n")
    assert found.first.how == "reference"
    assert next(error.output for error in found.nodes if error.comparison.wrong) == "n"


def test_a_tensor_without_a_counterpart_is_named_by_the_next_that_has_one():
    assert search(residual_network(alpha=5e-2, prefix="other_")).first.node == "conv2"


def test_equal_graphs_have_no_divergence():
    assert search(residual_network()).first is None


def test_a_name_that_has_another_meaning_is_no_divergence():
    """Conv's output where a factor has been folded into the weights differs, and nobody wrong reads it."""

    def scaled(factor, alpha=1e-2):
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
            helper.make_node("Mul", ["c", "f"], ["m"], "mul"),
            helper.make_node("LRN", ["m"], ["y"], "lrn", size=3, alpha=alpha),
        ]
        weights = {
            "w": np.full((4, 3, 1, 1), factor, np.float32),
            "f": np.array(1 / factor, np.float32),
        }
        return model(nodes, {"x": (FLOAT, [1, 3, 5, 5])}, {"y": (FLOAT, [1, 4, 5, 5])}, weights)

    inputs = {"x": np.random.default_rng(0).standard_normal((1, 3, 5, 5), dtype=np.float32)}
    assert search(scaled(2.0), scaled(1.0), inputs).first is None
    assert search(scaled(2.0, 9.0), scaled(1.0), inputs).first.node == "lrn"


def test_only_tensors_that_differ_are_judged():
    judged = []

    class Counting(ByFixedTolerance):
        def __init__(self, model, original, inputs):
            super().__init__(model, original, inputs)
            judged.append([value.name for value in model.graph.outputs])

    deployed, original = inferred(residual_network(alpha=5e-2)), inferred(residual_network())
    found = localize_in_graph(deployed, original, RESIDUAL_INPUTS, Counting)
    assert found.first.node == "lrn"
    assert judged == [["n", "c2", "t", "p", "c3", "y"]]
    assert [error.output for error in found.nodes] == ["c1", "r1", "n", "c2", "t", "p", "c3", "y"]
    assert [error.comparison.noise_ratio for error in found.nodes[:2]] == [0, 0]
    judged.clear()
    assert localize_in_graph(original, original.clone(), RESIDUAL_INPUTS, Counting).first is None
    assert judged == [], "equal graphs"


def chain(factors, offset=0.0, depth=40):
    """x -> x · f · 1/f + o again and again: between the factors is another tensor, as after a folding.

    Args:
        factors: f of the steps where it is not 1.
        offset: o of the 25th step; 0 elsewhere.
        depth: how many steps.
    """
    nodes, weights, value = [], {}, "x"
    for step in range(depth):
        weights[f"f{step}"] = np.array(factors.get(step, 1.0), np.float32)
        weights[f"g{step}"] = np.array(1 / factors.get(step, 1.0), np.float32)
        weights[f"o{step}"] = np.array(offset if step == 25 else 0.0, np.float32)
        nodes += [
            helper.make_node("Mul", [value, f"f{step}"], [f"m{step}"], f"mul{step}"),
            helper.make_node("Mul", [f"m{step}", f"g{step}"], [f"d{step}"], f"div{step}"),
            helper.make_node("Add", [f"d{step}", f"o{step}"], [f"a{step}"], f"add{step}"),
        ]
        value = f"a{step}"
    nodes.append(helper.make_node("Identity", [value], ["y"], "last"))
    return model(nodes, {"x": (FLOAT, [64])}, {"y": (FLOAT, [64])}, weights)


@pytest.mark.parametrize("room", [512, 1500, 4000, 2**20])
def test_where_tensors_do_not_fit_some_are_judged_first(monkeypatch, room):
    """Every third tensor differs for good reason; a few of 121 at a time tell where the error begins."""
    judged = []

    class Counting(ByFixedTolerance):
        def __init__(self, model, original, inputs):
            super().__init__(model, original, inputs)
            judged.append(len(model.graph.outputs))

    monkeypatch.setattr(in_graph, "CHUNK_BYTES", room)
    inputs = {"x": np.random.default_rng(0).standard_normal(64, dtype=np.float32)}
    powers = dict.fromkeys(range(40), 2.0)
    deployed, original = inferred(chain(powers, offset=0.5)), inferred(chain({}))
    found = localize_in_graph(deployed, original, inputs, Counting)
    assert found.first.node == "add25"
    assert all((count - 1) * 64 * 8 <= room for count in judged), "the output comes on top"
    assert sum(judged) < 121
    assert localize_in_graph(inferred(chain(powers)), original, inputs, Counting).first is None


def shared_weight(kernel):
    """conv1 uses a weight, conv2 the same weight by way of an Identity and a Transpose."""
    nodes = [
        helper.make_node("Identity", ["w"], ["alias"], "alias"),
        helper.make_node("Transpose", ["alias"], ["turned"], "turned", perm=[0, 1, 3, 2]),
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "turned"], ["c"], "conv1"),
        helper.make_node("Conv", ["c", "w"], ["y"], "conv2"),
    ]
    return model(nodes, {"x": (FLOAT, [1, 3, 6, 6])}, {"y": (FLOAT, [1, 3, 2, 2])}, {"w": kernel})


def test_a_weight_is_an_error_of_the_node_that_uses_it_not_of_the_one_that_hands_it_on():
    kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 3), dtype=np.float32)
    inputs = {"x": np.random.default_rng(1).standard_normal((1, 3, 6, 6), dtype=np.float32)}
    first = search(shared_weight(kernel * np.float32(1.01)), shared_weight(kernel), inputs).first
    assert (first.node, first.op_type) == ("conv1", "Conv")
