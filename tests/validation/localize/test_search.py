"""The graph is searched first, then the backend; and the whole of it on a trained model."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from normdeploy.backends.catalog import Backend
from normdeploy.graph.inference import inferred
from normdeploy.validation import check
from normdeploy.validation.localize import runner, search_divergence
from tests.validation.localize.fixed_tolerance import ByFixedTolerance
from tests.validation.networks import RESIDUAL_INPUTS, residual_network

DIGITS = Path(__file__).parents[3] / "models" / "digits"


@pytest.mark.parametrize(
    ("alpha", "factory", "node", "how"),
    [
        (5e-2, "wrong_third_convolution", "lrn", "reference"),
        (1e-2, "wrong_third_convolution", "conv3", "alone"),
        (1e-2, "wrong_fusion", "relu1", "fused"),
    ],
)
def test_a_wrong_graph_comes_before_a_wrong_backend(alpha, factory, node, how):
    run = runner(Backend("spoiled", f"tests.validation.spoiled_backends:{factory}"), 300)
    deployed, original = inferred(residual_network(alpha)), inferred(residual_network())
    first = search_divergence(deployed, original, RESIDUAL_INPUTS, run, ByFixedTolerance).first
    assert (first.node, first.how) == (node, how)


def test_a_model_that_is_its_own_reference_is_not_compared_with_itself():
    run = runner(Backend("right", "normdeploy.backends.onnxruntime:open_cpu"), 300)
    whole = inferred(residual_network())
    found = search_divergence(whole, whole, RESIDUAL_INPUTS, run, ByFixedTolerance)
    assert found.first is None
    assert len(found.nodes) == 8, "each node once"


def wrong_beta(model: onnx.ModelProto) -> str:
    node = next(node for node in model.graph.node if node.op_type == "LRN")
    next(attribute for attribute in node.attribute if attribute.name == "beta").f = 0.74
    return node.name


def wrong_weight(model: onnx.ModelProto) -> str:
    node = [node for node in model.graph.node if node.op_type == "Conv"][1]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    weights = numpy_helper.to_array(tensor).copy()
    weights.ravel()[7] += np.float32(0.02)
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    return node.name


@pytest.mark.parametrize("damage", [wrong_beta, wrong_weight])
def test_the_damaged_node_is_named_although_batch_norms_are_folded(damage):
    model = onnx.load(DIGITS / "digits.onnx")
    name = damage(model)
    report = check(
        model,
        reference=DIGITS / "original.onnx",
        data=DIGITS / "heldout.npz",
        samples=16,
        backends=["onnxruntime"],
        localize=True,
    )
    first = report.backends[0].first_divergence
    assert first is not None
    assert (first.node, first.how) == (name, "reference")
