"""Planted defects, and the node that `localize` names."""

from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normdeploy.backends.catalog import Backend
from normdeploy.graph.inference import infer
from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN, add_function
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize import search
from normdeploy.validation.localize.search import (
    comparison_by,
    localize_in_backend,
    localize_in_graph,
    runner,
)
from tests.builders import model

FLOAT = TensorProto.FLOAT
GIB = 2.0**30


def network(alpha: float = 1e-2, batch: int | str = "N", names: str = "") -> onnx.ModelProto:
    """x -> conv1 -> relu1 -> lrn -> conv2 (1x1) -> relu2 -> pool -> + conv3(1x1) -> y, with a skip."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "w2": rng.standard_normal((8, 8, 3, 3)).astype(np.float32) / 4,
        "w3": rng.standard_normal((8, 8, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("LRN", ["r1"], [f"{names}n"], "lrn", size=5, alpha=alpha, beta=0.75, bias=2.0),
        helper.make_node("Conv", [f"{names}n", "w2"], ["c2"], "conv2", pads=[1] * 4),
        helper.make_node("Tanh", ["c2"], ["t"], "tanh"),
        helper.make_node("MaxPool", ["t"], ["p"], "pool", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Conv", ["p", "w3"], ["c3"], "conv3"),
        helper.make_node("Add", ["c3", "r1"], ["y"], "add"),
    ]
    return model(nodes, {"x": (FLOAT, [batch, 3, 6, 6])}, {"y": (FLOAT, [batch, 8, 6, 6])}, weights)


def prepared(proto: onnx.ModelProto) -> ir.Model:
    loaded = load(proto)
    infer(loaded)
    return loaded


def judge(part, original, inputs, actual):
    """A fixed tolerance: what is tested here is the search."""
    found = {}
    for name, expected in Evaluator(original).run(inputs, list(actual)).items():
        error = np.abs(actual[name].astype(np.float64) - expected)
        ratio = error / (1e-4 * (np.abs(expected) + np.sqrt(np.mean(np.square(expected)))) + 1e-30)
        found[name] = TensorComparison(
            expected.size, int((ratio > 1).sum()), float(error.max()), noise_ratio=float(ratio.max())
        )
    return found


X = {"x": np.random.default_rng(1).standard_normal((2, 3, 6, 6), dtype=np.float32) * 8}


def in_backend(proto, factory, inputs=X):
    backend = Backend("spoiled", f"tests.validation.spoiled_backends:{factory}")
    return localize_in_backend(prepared(proto), inputs, runner(backend, 60), judge)


@pytest.mark.parametrize(
    ("factory", "node", "how"),
    [
        ("wrong_lrn", "lrn", "alone"),
        ("wrong_third_convolution", "conv3", "alone"),
        ("unwritten", "pool", "alone"),
        ("wrong_fusion", "relu1", "fused"),
    ],
)
def test_a_wrong_kernel_is_named(factory, node, how):
    first = in_backend(network(), factory).first
    assert first is not None
    assert (first.node, first.how) == (node, how)


def test_a_right_backend_has_none():
    backend = Backend("right", "normdeploy.backends.onnxruntime:open_cpu")
    found = localize_in_backend(prepared(network()), X, runner(backend, 60), judge)
    assert found.first is None
    assert [error.node for error in found.nodes] == [
        "conv1", "relu1", "lrn", "conv2", "tanh", "pool", "conv3", "add",
    ]  # fmt: skip
    assert all(0 <= error.comparison.noise_ratio < 1 for error in found.nodes)


def test_nodes_that_the_backend_refuses_alone_do_not_hide_others():
    assert in_backend(network(), "refuses_relu").first.node == "lrn"


def test_a_wrong_node_of_the_deployed_graph_is_named():
    deployed, original = prepared(network(alpha=5e-2)), prepared(network())
    found = localize_in_graph(deployed, original, X, judge)
    assert (found.first.node, found.first.op_type, found.first.output) == ("lrn", "LRN", "n")
    assert found.first.how == "reference"
    assert next(error.output for error in found.nodes if error.comparison.wrong) == "n"


def test_a_tensor_without_a_counterpart_is_named_by_the_next_that_has_one():
    found = localize_in_graph(prepared(network(alpha=5e-2, names="other_")), prepared(network()), X, judge)
    assert found.first.node == "conv2"


def test_equal_graphs_have_no_divergence():
    assert localize_in_graph(prepared(network()), prepared(network()), X, judge).first is None


def test_a_renamed_meaning_is_no_divergence():
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
    assert localize_in_graph(prepared(scaled(2.0)), prepared(scaled(1.0)), inputs, judge).first is None
    found = localize_in_graph(prepared(scaled(2.0, 9.0)), prepared(scaled(1.0)), inputs, judge)
    assert found.first.node == "lrn"


def branches() -> onnx.ModelProto:
    """y = If(sum(x) > 0): relu(x) + 1, else relu(x) - 1; the branches read a tensor from outside."""
    graphs = {}
    for name, op_type in (("then_branch", "Add"), ("else_branch", "Sub")):
        graphs[name] = helper.make_graph(
            [helper.make_node(op_type, ["r", "one"], [f"{name}_y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, [2, 3])],
        )
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("ReduceSum", ["r"], ["s"], "sum", keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["g"], "greater"),
        helper.make_node("If", ["g"], ["b"], "if", **graphs),
        helper.make_node("Exp", ["b"], ["y"], "exp"),
    ]
    constants = {"one": np.array(1, np.float32), "zero": np.array(0, np.float32)}
    return model(nodes, {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}, constants)


def test_a_subgraph_counts_as_its_node():
    first = in_backend(branches(), "wrong_if", {"x": np.ones((2, 3), np.float32)}).first
    assert (first.node, first.op_type) == ("if", "If")


def test_a_function_counts_as_its_node():
    lrn = helper.make_node(
        INTRA_CHANNEL_LRN, ["r"], ["n"], "within", domain=DOMAIN, size=3, alpha=0.5, beta=0.5, bias=1.0
    )
    nodes = [helper.make_node("Relu", ["x"], ["r"]), lrn, helper.make_node("Exp", ["n"], ["y"])]
    proto = model(nodes, {"x": (FLOAT, ["N", 2, 5, 5])}, {"y": (FLOAT, ["N", 2, 5, 5])})
    proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    whole = ir.from_proto(proto)
    add_function(whole)
    inputs = {"x": np.ones((1, 2, 5, 5), np.float32)}
    first = in_backend(ir.to_proto(whole), "wrong_function", inputs).first
    assert (first.node, first.op_type, first.how) == ("within", INTRA_CHANNEL_LRN, "alone")


def test_weights_listed_as_inputs():
    """As the oldest files have them: IR version 3, every initializer an input as well."""
    proto = network()
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, FLOAT, tensor.dims))
    assert in_backend(proto, "wrong_third_convolution").first.node == "conv3"


def test_large_graphs_are_taken_in_groups(monkeypatch):
    monkeypatch.setattr(search, "_CHUNK_BYTES", 20_000)
    assert in_backend(network(), "wrong_third_convolution").first.node == "conv3"
    found = localize_in_graph(prepared(network(alpha=5e-2)), prepared(network()), X, judge)
    assert found.first.node == "lrn"


def test_the_model_is_not_changed():
    whole = prepared(network())
    before = ir.to_proto(whole).SerializeToString()
    localize_in_backend(
        whole, X, runner(Backend("s", "tests.validation.spoiled_backends:wrong_fusion"), 60), judge
    )
    assert ir.to_proto(whole).SerializeToString() == before


@pytest.mark.parametrize(
    ("factory", "node"), [("wrong_lrn", "lrn"), ("unwritten", "pool"), ("wrong_fusion", "relu1")]
)
def test_by_measured_rounding(factory, node):
    """As `check` judges without tolerances."""
    run = runner(Backend("spoiled", f"tests.validation.spoiled_backends:{factory}"), 60)
    assert localize_in_backend(prepared(network()), X, run, comparison_by(None, 0)).first.node == node


def test_a_node_that_rounds_badly_is_not_named():
    """Two and a half times what is allowed, in a node before the one that is wrong."""

    def strict(part, original, inputs, actual):
        found = judge(part, original, inputs, actual)
        return {
            name: replace(item, wrong=1, noise_ratio=2.5) if name.startswith("c1") else item
            for name, item in found.items()
        }

    run = runner(Backend("spoiled", "tests.validation.spoiled_backends:wrong_lrn"), 60)
    assert localize_in_backend(prepared(network()), X, run, strict).first.node == "lrn"
