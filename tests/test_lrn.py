"""LRN against its formula, worked examples and independent implementations."""

from __future__ import annotations

import math
from typing import Any

import cv2
import hypothesis.extra.numpy as hnp
import ml_dtypes
import numpy as np
import onnx_ir as ir
import onnxruntime
import openvino
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

import normdeploy as nd
from normdeploy.errors import ConventionError, InputError, UsageError
from normdeploy.torch import IntraChannelLRN
from tests.builders import unary

Array = NDArray[Any]


def by_formula(x: Array, spec: nd.LRN) -> Array:
    """The definition, element by element."""
    axes = (1,) if spec.region == "across" else tuple(range(2, x.ndim))
    before, after = spec.window
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        box = tuple(
            slice(max(0, i - before), i + after + 1) if axis in axes else slice(i, i + 1)
            for axis, i in enumerate(index)
        )
        total = np.square(x[box]).sum()
        y[index] = x[index] / (spec.k + spec.alpha_sum_over(len(axes)) * total) ** spec.beta
    return y


specs = st.builds(
    nd.LRN,
    size=st.integers(1, 9),
    alpha=st.floats(0, 2),
    beta=st.sampled_from([0.5, 0.75, 1.0, 2.0]) | st.floats(0.01, 3),
    k=st.floats(0.1, 3),
    region=st.sampled_from(["across", "within"]),
    convention=st.sampled_from(["paper", "onnx", "torch"]),
)
shapes = hnp.array_shapes(min_dims=3, max_dims=5, max_side=6)


@given(spec=specs, shape=shapes, seed=st.integers(0, 9))
def test_equals_the_formula(spec: nd.LRN, shape: tuple[int, ...], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=shape)
    np.testing.assert_allclose(nd.lrn(x, spec), by_formula(x, spec), rtol=1e-12)


def test_two_neighbours_worked_by_hand() -> None:
    x = np.array([1.0, 1.0]).reshape(1, 2, 1, 1)
    y = nd.lrn(x, nd.LRN(size=2, alpha=1, beta=1, k=0))
    assert y.ravel().tolist() == [0.5, 0.5]


def test_standard_normalization_over_all_channels() -> None:
    """(k, α, β, n) = (0, 1, 1, N) divides by the sum over all N channels.

    By the paper's formula the window of n = N reaches N/2 channels to each side, so it covers all N in the
    middle; n = 2N does so everywhere.
    """
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 3))
    standard = x / np.square(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(nd.lrn(x, nd.LRN(5, 1, 1, 0))[:, 2], standard[:, 2], rtol=1e-14)
    np.testing.assert_allclose(nd.lrn(x, nd.LRN(10, 1, 1, 0)), standard, rtol=1e-14)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 40])
def test_agrees_with_torch_across(size: int) -> None:
    x = np.random.default_rng(1).normal(size=(2, 9, 4, 5)) * 3
    module = torch.nn.LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5)
    np.testing.assert_allclose(
        nd.lrn(x, nd.LRN.from_torch(module)), module(torch.from_numpy(x)).numpy(), rtol=1e-13
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 6, 7), (1, 2, 4, 5, 6)])
def test_agrees_with_torch_within(size: int, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).normal(size=shape) * 3
    module = IntraChannelLRN(size, alpha=0.7, beta=0.75, k=1.2)
    np.testing.assert_allclose(
        nd.lrn(x, nd.LRN.from_torch(module)), module(torch.from_numpy(x)).numpy(), rtol=1e-13
    )


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_agrees_with_onnxruntime(size: int) -> None:
    x = np.random.default_rng(3).normal(size=(2, 8, 5, 4)).astype(np.float32) * 3
    model = unary("LRN", x.shape, size=size, alpha=0.3, beta=0.6, bias=1.5)
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(nd.lrn(x, nd.LRN.from_onnx(model.graph.node[0])), y, rtol=2e-6)


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_agrees_with_opencv_reading_caffe(region: str, size: int) -> None:
    x = np.random.default_rng(4).normal(size=(2, 8, 9, 7)).astype(np.float32) * 3
    prototxt = f"""
        name: "net" input: "x" input_shape {{ dim: 2 dim: 8 dim: 9 dim: 7 }}
        layer {{ name: "y" type: "LRN" bottom: "x" top: "y"
                lrn_param {{ local_size: {size} alpha: 0.4 beta: 0.6 norm_region: {region} }} }}"""
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt.encode(), dtype=np.uint8))
    net.setInput(x)
    spec = nd.LRN.from_caffe(local_size=size, alpha=0.4, beta=0.6, norm_region=region)
    np.testing.assert_allclose(nd.lrn(x, spec), net.forward(), rtol=3e-6)


@pytest.mark.parametrize(("region", "axes"), [("across", [1]), ("within", [2, 3])])
@pytest.mark.parametrize("size", [3, 5])
def test_agrees_with_openvino(region: str, axes: list[int], size: int) -> None:
    """With bias 1: its CPU plugin computes with 1 whatever the bias says."""
    x = np.random.default_rng(5).normal(size=(2, 8, 9, 7)).astype(np.float32) * 3
    ops = openvino.opset13
    parameter = ops.parameter(list(x.shape), np.float32)
    result = ops.lrn(parameter, ops.constant(np.array(axes)), 0.4, 0.6, 1.0, size)
    compiled = openvino.compile_model(
        openvino.Model([result], [parameter]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    spec = nd.LRN(size, 0.4, 0.6, 1.0, region, "onnx")
    np.testing.assert_allclose(nd.lrn(x, spec), compiled(x)[0], rtol=3e-6)


def test_alexnet_is_the_same_in_every_framework() -> None:
    frameworks = [
        nd.LRN(size=5, alpha=1e-4, beta=0.75, k=2.0),
        nd.LRN.from_torch(torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)),
        nd.LRN.from_caffe(local_size=5, alpha=5e-4, beta=0.75, k=2.0),
        nd.LRN.from_tensorflow(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75),
        nd.LRN.from_onnx(helper.make_node("LRN", ["x"], ["y"], size=5, alpha=5e-4, beta=0.75, bias=2.0)),
    ]
    for other in frameworks:
        assert other.window == (2, 2)
        assert other.alpha_sum == pytest.approx(1e-4, rel=1e-6)
        assert (other.beta, other.k) == (0.75, 2.0)


@pytest.mark.parametrize(
    ("convention", "window"), [("paper", (2, 2)), ("onnx", (1, 2)), ("torch", (2, 1))], ids=str
)
def test_even_windows_differ(convention: Any, window: tuple[int, int]) -> None:
    assert nd.LRN(4, convention=convention).window == window


@given(spec=specs, target=st.sampled_from(["paper", "onnx", "torch"]))
def test_conversion_keeps_the_computation(spec: nd.LRN, target: Any) -> None:
    try:
        other = spec.to(target)
    except ConventionError as error:
        assert "has the window" in str(error)  # noqa: PT017
        assert target != spec.convention
        return
    assert other.window == spec.window
    assert other.alpha_sum == pytest.approx(spec.alpha_sum, rel=1e-12)


def test_the_papers_even_window_is_odd_elsewhere() -> None:
    assert nd.LRN(2, alpha=1, beta=1, k=0).to("onnx") == nd.LRN(3, 3.0, 1, 0, "across", "onnx")


def test_from_onnx_takes_protobuf_and_ir_nodes_and_the_standard_defaults() -> None:
    proto = helper.make_node("LRN", ["x"], ["y"], size=3)
    node = ir.node("IntraChannelLRN", [ir.val("x")], {"size": 4, "alpha": 0.5, "beta": 0.5, "bias": 2.0})
    assert nd.LRN.from_onnx(proto) == nd.LRN(3, 1e-4, 0.75, 1.0, "across", "onnx")
    assert nd.LRN.from_onnx(node) == nd.LRN(4, 0.5, 0.5, 2.0, "within", "torch")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nd.LRN.from_caffe(local_size=4), "Caffe takes an odd local_size only, got 4"),
        (
            lambda: nd.LRN.from_caffe(norm_region="SIDEWAYS"),
            "ACROSS_CHANNELS or WITHIN_CHANNEL, got 'SIDEWAYS'",
        ),
        (lambda: nd.LRN.from_onnx(helper.make_node("Relu", ["x"], ["y"])), "is Relu, not LRN"),
        (lambda: nd.LRN.from_onnx(helper.make_node("LRN", ["x"], ["y"])), "has no attribute 'size'"),
    ],
)
def test_conversion_errors(call: Any, message: str) -> None:
    with pytest.raises(ConventionError, match=message):
        call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": 2.5}, "size must be an integer, got 2.5"),
        ({"size": 3, "alpha": math.nan}, "alpha must be finite, got nan"),
        ({"size": 3, "region": "around"}, "region must be one of"),
        ({"size": 3, "convention": "matlab"}, "convention must be one of"),
    ],
)
def test_bad_parameters(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nd.LRN(**arguments)


def test_caffe_ignores_k_within_a_channel() -> None:
    with pytest.warns(UserWarning, match="computes with k = 1"):
        assert nd.LRN.from_caffe(3, k=2.0, norm_region="WITHIN_CHANNEL").k == 1.0


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("region", ["across", "within"])
def test_half_precision_does_not_overflow_inside(dtype: Any, region: Any) -> None:
    """300² is beyond float16: summed in half precision the output would be 0."""
    x = np.full((1, 3, 3, 3), 300, dtype)
    y = nd.lrn(x, nd.LRN(3, 1e-4, 0.75, 1.0, region))
    assert y.dtype == x.dtype
    exact = nd.lrn(x.astype(np.float64), nd.LRN(3, 1e-4, 0.75, 1.0, region))
    np.testing.assert_array_equal(y, exact.astype(dtype))
    assert (y.astype(float) > 1).all()


@pytest.mark.parametrize(("bad", "inside"), [(np.nan, np.nan), (np.inf, 0.0)])
def test_nan_and_infinity_stay_in_their_windows(bad: float, inside: float) -> None:
    """A NaN makes its window NaN; x/∞ = 0 and ∞/∞ = NaN; everything else is as if it were not there."""
    rng = np.random.default_rng(6)
    clean = rng.normal(size=(1, 12, 2, 2))
    x = clean.copy()
    x[0, 5, 1, 1] = bad
    spec = nd.LRN(size=5)
    y, expected = nd.lrn(x, spec), nd.lrn(clean, spec)
    expected[0, 3:8, 1, 1] = inside
    expected[0, 5, 1, 1] = np.nan
    np.testing.assert_array_equal(y, expected)


def test_zero_over_zero_is_nan() -> None:
    assert np.isnan(nd.lrn(np.zeros((1, 1, 1)), nd.LRN(3, k=0))).all()


def test_the_input_is_not_changed() -> None:
    x = np.random.default_rng(7).normal(size=(2, 3, 4))
    before = x.copy()
    nd.lrn(x, nd.LRN(1, beta=1))
    np.testing.assert_array_equal(x, before)


def test_bad_inputs() -> None:
    with pytest.raises(InputError, match=r"rank 3 or more; got shape \(2, 3\)"):
        nd.lrn(np.zeros((2, 3)), nd.LRN(3))
    with pytest.raises(InputError, match="floating-point arrays, got int64"):
        nd.lrn(np.zeros((2, 3, 4), np.int64), nd.LRN(3))
