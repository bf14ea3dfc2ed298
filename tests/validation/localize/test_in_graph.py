"""Two graphs that should compute the same, and the node that does not."""

import numpy as np
from onnx import helper

from normdeploy.graph.inference import inferred
from normdeploy.validation.localize import in_graph
from normdeploy.validation.localize.in_graph import localize_in_graph
from tests.builders import FLOAT, model
from tests.validation.localize.fixed_tolerance import by_fixed_tolerance
from tests.validation.networks import RESIDUAL_INPUTS, residual_network


def search(deployed, original=None, inputs=RESIDUAL_INPUTS):
    original = residual_network() if original is None else original
    return localize_in_graph(inferred(deployed), inferred(original), inputs, by_fixed_tolerance)


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


def test_large_graphs_are_taken_in_groups(monkeypatch):
    groups = []

    def counting(*arguments):
        groups.append(len(arguments[3]))
        return by_fixed_tolerance(*arguments)

    deployed, original = inferred(residual_network(alpha=5e-2)), inferred(residual_network())
    monkeypatch.setattr(in_graph, "CHUNK_BYTES", 10_000)
    found = localize_in_graph(deployed, original, RESIDUAL_INPUTS, counting)
    assert found.first.node == "lrn"
    assert groups == [2, 2, 2, 2], "a tensor takes 4,608 bytes"
