"""Kernels whose channels come last."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from normdeploy.reference import evaluate
from tests.reference.against_onnxruntime import assert_as_onnxruntime, in_onnxruntime, single_node


@pytest.mark.parametrize("op_type", ["NhwcConv", "NhwcFusedConv"])
def test_convolutions_are_those_with_channels_first(op_type):
    """onnxruntime's CPU provider has no such kernel on this processor, but the one with channels first."""
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 5, 6, 4)).astype(np.float32)
    w, b = (random.standard_normal(shape).astype(np.float32) for shape in ((6, 2, 3, 3), (6,)))
    attributes = {"group": 2, "pads": [1, 0, 1, 0], "strides": [1, 2], "kernel_shape": [3, 3]}
    if op_type == "NhwcFusedConv":
        attributes |= {"activation": "Relu"}
    model, feeds = single_node(op_type, [x, w, b], rank=4, **attributes)
    first, first_feeds = single_node("FusedConv", [np.moveaxis(x, -1, 1), w, b], rank=4, **attributes)
    expected = np.moveaxis(in_onnxruntime(first, first_feeds)["y0"], 1, -1)
    np.testing.assert_allclose(evaluate(model, feeds)["y0"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_max_pool(dtype):
    random = np.random.default_rng(0)
    info = np.iinfo(dtype)
    x = random.integers(info.min, info.max + 1, (2, 7, 6, 3)).astype(dtype)
    element = TensorProto.UINT8 if dtype is np.uint8 else TensorProto.INT8
    assert_as_onnxruntime(
        "NhwcMaxPool", [x], (element,), kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]
    )
