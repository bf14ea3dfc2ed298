"""Backends with planted defects, and the node that is named."""

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.backends.catalog import Backend
from normdeploy.graph.inference import inferred
from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN, add_function
from normdeploy.validation.localize import by_rounding, nodes_alone, runner
from normdeploy.validation.localize.in_backend import localize_in_backend
from normdeploy.validation.localize.nodes_alone import CLEARLY_WRONG
from tests.builders import FLOAT, model
from tests.validation.localize.fixed_tolerance import ByFixedTolerance
from tests.validation.networks import (
    RESIDUAL_INPUTS,
    Network,
    branching_network,
    residual_network,
)

ONNXRUNTIME = Backend("right", "normdeploy.backends.onnxruntime:open_cpu")
MEASURED = by_rounding(0)


def spoiled(factory):
    return Backend("spoiled", f"tests.validation.spoiled_backends:{factory}")


def search(proto, backend, inputs=RESIDUAL_INPUTS, judgement=ByFixedTolerance):
    return localize_in_backend(inferred(proto), inputs, runner(backend, 300), judgement)


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
    first = search(residual_network(), spoiled(factory)).first
    assert first is not None
    assert (first.node, first.how) == (node, how)


def test_a_right_backend_has_none():
    found = search(residual_network(), ONNXRUNTIME)
    assert found.first is None
    assert [error.node for error in found.nodes] == [
        "conv1", "relu1", "lrn", "conv2", "tanh", "pool", "conv3", "add",
    ]  # fmt: skip
    assert all(0 <= error.comparison.noise_ratio < 1 for error in found.nodes)


def test_nodes_that_the_backend_refuses_alone_do_not_hide_others():
    assert search(residual_network(), spoiled("refuses_relu")).first.node == "lrn"


def test_a_subgraph_counts_as_its_node():
    inputs = {"x": np.ones((2, 3), np.float32)}
    first = search(branching_network(), spoiled("wrong_if"), inputs).first
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
    first = search(ir.to_proto(whole), spoiled("wrong_function"), inputs).first
    assert (first.node, first.op_type, first.how) == ("within", INTRA_CHANNEL_LRN, "alone")


def test_weights_listed_as_inputs():
    """As the oldest files have them: IR version 3, every initializer an input as well."""
    proto = residual_network()
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, FLOAT, tensor.dims))
    assert search(proto, spoiled("wrong_third_convolution")).first.node == "conv3"


def test_large_graphs_are_taken_in_groups(monkeypatch):
    monkeypatch.setattr(nodes_alone, "CHUNK_BYTES", 20_000)
    assert search(residual_network(), spoiled("wrong_third_convolution")).first.node == "conv3"


def test_the_model_is_not_changed():
    whole = inferred(residual_network())
    before = ir.to_proto(whole).SerializeToString()
    localize_in_backend(whole, RESIDUAL_INPUTS, runner(spoiled("wrong_fusion"), 300), ByFixedTolerance)
    assert ir.to_proto(whole).SerializeToString() == before


@pytest.mark.parametrize(
    ("factory", "node"), [("wrong_lrn", "lrn"), ("unwritten", "pool"), ("wrong_fusion", "relu1")]
)
def test_by_measured_rounding(factory, node):
    """As `check` judges without tolerances."""
    assert search(residual_network(), spoiled(factory), judgement=MEASURED).first.node == node


def rounding_badly(node, ratio, wrong=()):
    """Judges by the fixed tolerance, and finds that a node's tensor misses it by this ratio.

    Args:
        node: how the tensor's name begins.
        ratio: of error to what is allowed.
        wrong: names of further tensors that are found wrong.
    """

    class RoundingBadly(ByFixedTolerance):
        def compare(self, name, actual):
            found = super().compare(name, actual)
            if name.startswith(node):
                return replace(found, wrong=1, noise_ratio=ratio)
            return replace(found, wrong=1) if name in wrong else found

    return RoundingBadly


def test_a_node_that_rounds_badly_is_not_named():
    """Two and a half times what is allowed, in a node before the one that is wrong."""
    assert search(
        residual_network(), spoiled("wrong_lrn"), judgement=rounding_badly("c1", 2.5)
    ).first.node == ("lrn")


def test_a_node_that_is_not_clearly_wrong_alone_is_still_found_by_the_prefixes():
    """So that the factor for nodes alone hides nothing: it only decides which search names the node."""
    judgement = rounding_badly("r1", 2.5)
    first = search(residual_network(), ONNXRUNTIME, judgement=judgement).first
    assert first is None, "the whole model's output is right"

    first = search(residual_network(), ONNXRUNTIME, judgement=rounding_badly("r1", 2.5, wrong=("y",))).first
    assert (first.node, first.how) == ("relu1", "fused")


RIGHT = [
    (Network(seed=seed, dtype=dtype, depth=8, across=across), seed)
    for seed in range(6)
    for dtype in ("float32", "float16")
    for across in (True, False)
]


def test_the_factor_for_clearly_wrong_is_four_times_what_right_nodes_reach():
    """900 nodes that onnxruntime computes rightly: half of them stay below 0.3 of what is allowed, all
    below 1. A planted defect exceeds the factor at least a hundredfold.
    """
    ratios = []
    for network, sample in RIGHT:
        found = search(network.model(), ONNXRUNTIME, network.inputs(sample), MEASURED)
        assert found.first is None
        ratios += [error.comparison.noise_ratio for error in found.nodes]
    assert len(ratios) == 900
    assert np.median(ratios) < 0.3
    assert max(ratios) < 1
    for factory in ("wrong_lrn", "wrong_third_convolution"):
        found = search(residual_network(), spoiled(factory), judgement=MEASURED)
        assert found.nodes[-1].comparison.noise_ratio > 100 * CLEARLY_WRONG
