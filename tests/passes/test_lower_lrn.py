"""Lowered LRN computes what nd.lrn says, in the reference and in onnxruntime; lowered again it stays."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import normdeploy as nd
from models.light import light_model
from normdeploy import LRN
from normdeploy.passes import Optimized, Target, optimize
from tests.builders import model

TARGETS: tuple[Target, ...] = ("ort-cpu", "tensorrt", "portable")
SHAPES = {
    "static": ((2, 6, 5, 7), ()),
    "dynamic": ((2, 6, 5, 7), (0, 1, 2, 3)),
    "dynamic, channels known": ((2, 6, 5, 7), (0, 2, 3)),
    "rank 3": ((2, 6, 5), (0,)),
    "rank 5": ((2, 3, 4, 5, 3), ()),
    "rank 5, dynamic": ((2, 3, 4, 5, 3), (0, 1, 2, 3, 4)),
    "many channels": ((1, 120, 3, 3), ()),
    "one channel": ((2, 1, 4, 4), ()),
}
RTOL = {np.float16: 2e-3, np.float32: 2e-5, np.float64: 2e-6}
"""onnxruntime's rounding, in the input's type; within a channel float64 is computed in float32."""


def operator(
    spec: LRN,
    shape: tuple[int, ...],
    dynamic: tuple[int, ...] = (),
    dtype: type = np.float32,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of one node, named norm."""
    dims = [f"d{axis}" if axis in dynamic else size for axis, size in enumerate(shape)]
    parameters = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
    declared = (helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), dims)
    across = spec.region == "across"
    domain = "" if across else "normdeploy"
    node = helper.make_node(
        "LRN" if across else "IntraChannelLRN", ["x"], ["y"], name="norm", domain=domain, **parameters
    )
    made = model([node], {"x": declared}, {"y": declared}, opset=opset)
    if domain:
        made.opset_import.add(domain=domain, version=1)
    return made


def spec_of(region: str, size: int, beta: float = 0.75, k: float = 1.0, alpha: float = 1.5) -> LRN:
    return LRN(
        size, alpha, np.float32(beta), np.float32(k), region, "onnx" if region == "across" else "torch"
    )


def operators(result: Optimized) -> list[str]:
    return [node.op_type for node in result.model.graph.node]


def check(result: Optimized, spec: LRN, x: np.ndarray, *, in_onnxruntime: bool) -> None:
    """The model is valid and computes the LRN in the reference and, if asked for, in onnxruntime."""
    onnx.checker.check_model(result.model, full_check=True)
    expected = nd.lrn(x.astype(np.float64), spec)
    computed = nd.evaluate(result.model, {"x": x})["y"]
    np.testing.assert_allclose(computed, expected, rtol=1e-3 if x.dtype == np.float16 else 3e-7)
    last = result.model.graph.node[-1]
    assert (last.name, list(last.output)) == ("norm", ["y"])
    if in_onnxruntime:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(result.model.SerializeToString(), options)
        (y,) = session.run(None, {"x": x})
        assert y.dtype == x.dtype
        np.testing.assert_allclose(y, expected, rtol=RTOL[x.dtype.type], atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("region", ["across", "within"])
@pytest.mark.parametrize("target", ["ort-cpu", "tensorrt"])
def test_every_size_and_type(target: Target, region: str, shape: str) -> None:
    sizes, dynamic = SHAPES[shape]
    x = np.random.default_rng(0).normal(size=sizes)
    for size, dtype in (
        (1, np.float32),
        (2, np.float16),
        (7, np.float32),
        (16, np.float64),
        (17, np.float32),
    ):
        spec = spec_of(region, size)
        result = optimize(operator(spec, sizes, dynamic, dtype), target=target, verify=False)
        native = "LRN" in operators(result)
        check(result, spec, x.astype(dtype), in_onnxruntime=not native)
        if target == "ort-cpu":
            assert not {"LRN", "IntraChannelLRN", "Pow"} & set(operators(result))
        again = optimize(result.model, target=target, verify=False)
        assert again.model == result.model


@pytest.mark.parametrize("region", ["across", "within"])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.3, 2.0])
@pytest.mark.parametrize("k", [0.0, 1.5])
def test_powers(region: str, beta: float, k: float) -> None:
    spec = spec_of(region, 3, beta, k)
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 7)).astype(np.float32)
    result = optimize(operator(spec, x.shape), target="ort-cpu")
    check(result, spec, x, in_onnxruntime=True)
    assert ("Pow" in operators(result)) == (beta in (0.3, np.float32(0.3), 2.0))


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 12, 13, 18, 21])
def test_opsets(opset: int) -> None:
    """Axes, pads and bounds were attributes in older operator sets."""
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 7)).astype(np.float32)
    for size, dynamic, target in ((4, (), "tensorrt"), (5, (1,), "ort-cpu"), (5, (), "ort-cpu")):
        spec = spec_of("across", size)
        result = optimize(operator(spec, x.shape, dynamic, opset=opset), target=target, verify=False)
        assert "LRN" not in operators(result)
        check(result, spec, x, in_onnxruntime=True)


def test_half_precision_does_not_overflow() -> None:
    x = np.full((1, 6, 4, 4), 300, np.float16)
    for region in ("across", "within"):
        result = optimize(operator(spec_of(region, 3), x.shape, dtype=np.float16), target="ort-cpu")
        assert (operators(result)[0], operators(result)[-1]) == ("Cast", "Cast")
        check(result, spec_of(region, 3), x, in_onnxruntime=True)


@settings(max_examples=60, deadline=None)
@given(
    region=st.sampled_from(["across", "within"]),
    size=st.integers(1, 18),
    alpha=st.floats(2**-20, 10, width=32),
    beta=st.sampled_from([0.5, 0.75, 1.0, 0.6]),
    k=st.floats(0.0625, 4, width=32),
    channels=st.integers(1, 40),
    dynamic=st.sampled_from([(), (0, 2, 3), (0, 1, 2, 3)]),
    target=st.sampled_from(TARGETS),
)
def test_any_lrn(
    region: str,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    channels: int,
    dynamic: tuple[int, ...],
    target: Target,
) -> None:
    spec = spec_of(region, size, beta, k, alpha)
    x = np.random.default_rng(size).normal(size=(1, channels, 5, 4)).astype(np.float32)
    result = optimize(operator(spec, x.shape, dynamic), target=target, verify=False)
    check(result, spec, x, in_onnxruntime=target == "ort-cpu")
    again = optimize(result.model, target=target, verify=False)
    assert again.model == result.model
    back = optimize(result.model, target="portable", verify=False)
    node = back.model.graph.node[-1]
    if region == "across" and size % 2 and 1 < size <= 15 and channels > 1:
        assert node.op_type == "LRN"
        np.testing.assert_allclose(
            nd.evaluate(back.model, {"x": x})["y"], nd.lrn(x.astype(float), spec), rtol=3e-7
        )
    if region == "within" and size > 1:
        found = nd.LRN.from_onnx(node)
        assert replace(found, alpha=spec.alpha) == spec
        assert found.alpha == pytest.approx(spec.alpha, rel=3e-7)  # kept as alpha / size² in float32


def test_records() -> None:
    """Each LRN has one record; it says what became of it, and why."""
    spec = spec_of("across", 3)
    portable = optimize(operator(spec, (1, 6, 4, 4)), verify=False).report.lrn
    assert [(record.nodes, record.status, record.reason) for record in portable] == [
        (("norm",), "kept", "the standard operator")
    ]
    (record,) = optimize(operator(spec_of("across", 4), (1, 6, 4, 4)), verify=False).report.lrn
    assert "onnxruntime has none for it: size 4 is even" in record.reason
    result = optimize(operator(spec, (1, 6, 4, 4)), target="ort-cpu", verify=False)
    (record,) = result.report.lrn
    assert (record.nodes, record.status) == (("norm",), "lowered")
    assert record.reason.startswith("banded Conv")
    (record,) = optimize(result.model, target="ort-cpu", verify=False).report.lrn
    assert (record.status, record.nodes[-1]) == ("kept", "norm")
    assert "already" in record.reason
    (record,) = optimize(operator(spec_of("across", 17), (1, 6, 4, 4)), target="tensorrt").report.lrn
    assert (record.status, "no operator" in record.reason) == ("lowered", True)


def test_the_form_goes_by_size() -> None:
    few = operators(optimize(operator(spec_of("across", 5), (1, 96, 4, 4)), target="ort-cpu"))
    many = operators(optimize(operator(spec_of("across", 5), (1, 256, 4, 4)), target="ort-cpu"))
    assert (few.count("Conv"), many.count("AveragePool")) == (1, 1)
    small = operators(optimize(operator(spec_of("within", 3), (1, 6, 9, 9)), target="ort-cpu"))
    large = operators(optimize(operator(spec_of("within", 7), (1, 6, 9, 9)), target="ort-cpu"))
    assert (small.count("Conv"), large.count("Conv")) == (1, 2)


def test_what_cannot_be_lowered_is_kept() -> None:
    old = operator(spec_of("across", 3), (1, 6, 4, 4), opset=6)
    (record,) = optimize(old, target="ort-cpu", verify=False).report.lrn
    assert (record.status, "need opset 7" in record.reason) == ("kept", True)
    flat = operator(spec_of("across", 3), (4, 6))
    (record,) = optimize(flat, target="ort-cpu", verify=False).report.lrn
    assert (record.status, "rank 2" in record.reason) == ("kept", True)


def test_the_body_comes_and_goes_with_the_operator() -> None:
    bare = operator(spec_of("within", 3), (1, 6, 4, 4))
    assert not bare.functions
    portable = optimize(bare).model
    assert [function.name for function in portable.functions] == ["IntraChannelLRN"]
    lowered = optimize(portable, target="ort-cpu").model
    assert not lowered.functions
    assert [opset.domain for opset in lowered.opset_import] == [""]


def test_a_network_lowered_twice_is_the_same() -> None:
    lowered = optimize(light_model("inception_v1"), target="ort-cpu", verify=False).model
    assert optimize(lowered, target="ort-cpu", verify=False).model == lowered
