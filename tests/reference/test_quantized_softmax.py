"""onnxruntime's quantized softmax takes the whole part of 1 / scale: measured; that is allowed, no more."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto

from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.reference.quantized_softmax import quantizes_softmax, with_whole_inverse
from normdeploy.validation.judge import Judge
from tests.builders import parsed
from tests.reference.against_onnxruntime import in_onnxruntime, single_node

SCALES = [1 / 255, 1 / 200.999, 1 / 100.3]


def quantized(scale, rows=400, opset=13, axis=-1):
    """QLinearSoftmax as onnxruntime saves it, with its inputs."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (rows, 6)).astype(np.uint8)
    parameters = [np.array(0.03, np.float32), np.array(128, np.uint8)]
    of_result = [np.array(scale, np.float32), np.array(0, np.uint8)]
    return single_node(
        "QLinearSoftmax", [x, *parameters, *of_result], (TensorProto.UINT8,), rank=2, axis=axis, opset=opset
    )


def in_qdq(scale):
    """The same as quantizers write it, with a result in float."""
    return parsed(f"""
    g (uint8[N, 6] x) => (float[N, 6] y)
        <float s = {{0.03}}, uint8 z = {{128}}, float t = {{{scale:.9g}}}, uint8 zero = {{0}}> {{
        real = DequantizeLinear (x, s, z)
        p = Softmax (real)
        q = QuantizeLinear (p, t, zero)
        y = DequantizeLinear (q, t, zero)
    }}""")


@pytest.mark.parametrize("scale", SCALES)
def test_the_kernel_takes_the_whole_part(scale):
    model, feeds = quantized(scale)
    scores = (feeds["x0"].astype(np.float64) - 128) * float(feeds["x1"])
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    actual = in_onnxruntime(model, feeds)["y0"]
    whole = np.floor(np.float32(1) / np.float32(scale))
    np.testing.assert_array_equal(actual, np.rint(p * whole))
    assert np.count_nonzero(actual != np.rint(p / np.float64(np.float32(scale)))) > 100


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("opset", [11, 13])
def test_what_the_kernel_gives_is_right_and_a_step_elsewhere_is_not(scale, opset):
    model, feeds = quantized(scale, opset=opset, axis=1)
    evaluator = Evaluator(model)
    case = Judge(evaluator, evaluator).on(feeds)
    actual = in_onnxruntime(model, feeds)["y0"]
    found = case.compare("y0", actual)
    assert found.wrong == 0
    assert found.ties > 100
    exact = evaluator.run(feeds)["y0"]
    small = np.argwhere((actual == exact) & (exact < 20))[0]
    for error in (1, 2):
        wrong = actual.copy()
        wrong[tuple(small)] += error
        assert case.compare("y0", wrong).wrong == 1
    assert case.compare("y0", exact + (exact < 20).astype(np.uint8)).wrong > 100


def test_models_in_qdq_that_end_in_softmax():
    model = in_qdq(1 / 255)
    feeds = {"x": quantized(1 / 255)[1]["x0"]}
    evaluator = Evaluator(load(model))
    case = Judge(evaluator, evaluator).on(feeds)
    exact = evaluator.run(feeds)["y"].astype(np.float32)
    actual = in_onnxruntime(model, feeds, "ORT_ENABLE_ALL")["y"]
    assert np.count_nonzero(np.abs(actual - exact) > 1e-3) > 100  # the runtime took its kernel
    assert case.compare("y", actual).wrong == 0
    assert case.compare("y", in_onnxruntime(model, feeds)["y"]).wrong == 0
    assert case.compare("y", exact * np.float32(0.9)).wrong > 100


def test_only_a_softmax_between_them_is_meant():
    graph = load(in_qdq(1 / 255)).graph
    assert [node.op_type for node in graph if quantizes_softmax(node)] == ["QuantizeLinear"]
    lone = load(
        parsed("""
    g (float[N, 6] x) => (uint8[N, 6] y) <float t = {0.1}, uint8 z = {0}> {
        p = Softmax (x)
        y = QuantizeLinear (p, t, z)
    }""")
    )
    assert not any(quantizes_softmax(node) for node in lone.graph)
    assert not quantizes_softmax(ir.node("QuantizeLinear", []))


def test_the_scale_becomes_the_inverse_of_a_whole_number():
    x = np.ones(1)
    for scale, expected in ((1 / 256, 1 / 256), (float(np.float32(1 / 255)), 1 / 254), (1.5, 1.5)):
        assert with_whole_inverse([x, np.array(scale)])[1] == expected
    assert with_whole_inverse([x, np.array(0.3), None])[2] is None
