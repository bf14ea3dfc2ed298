"""The trained model of this repository: optimized, then damaged in one place."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from normdeploy.validation import check

DIGITS = Path(__file__).parents[3] / "models" / "digits"


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
