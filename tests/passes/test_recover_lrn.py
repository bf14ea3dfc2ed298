"""LRN is recovered from every form that computes it, from none that does not, and the report says why."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import normdeploy as nd
from normdeploy.native_support import unsupported_reasons
from normdeploy.passes import LRNRecord, Optimized, optimize
from tests.passes.lrn.forms import ACROSS, ENDS, WITHIN
from tests.passes.lrn.near_misses import NEAR_MISSES, UNRELATED
from tests.passes.lrn.written import ALPHA, BETA, SCALARS, SHAPE, K, band, model

X = np.random.default_rng(0).normal(size=SHAPE)


def run(original: onnx.ModelProto, x: np.ndarray = X, tolerance: float = 1e-12) -> Optimized:
    """The optimized model, after checks that hold for every one: valid, equal, stable, named as before."""
    result = optimize(original)
    onnx.checker.check_model(result.model, full_check=True)
    x = x.astype(helper.tensor_dtype_to_np_dtype(original.graph.input[0].type.tensor_type.elem_type))
    before, after = nd.evaluate(original, {"x": x}), nd.evaluate(result.model, {"x": x})
    assert list(after) == list(before)
    np.testing.assert_allclose(after["y"], before["y"], rtol=max(tolerance, 3e-7))
    assert optimize(result.model, verify=False).model == result.model
    return result


def operators(result: Optimized) -> list[str]:
    return [node.op_type for node in result.model.graph.node]


def attributes(result: Optimized) -> dict[str, float]:
    node = result.model.graph.node[-1]
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def named(cases: dict[str, tuple]) -> Callable:
    return pytest.mark.parametrize("case", cases.values(), ids=cases)


@named(ACROSS)
def test_across_channels(case: tuple) -> None:
    body, constants = case
    result = run(model(body, SCALARS | constants))
    assert operators(result) == ["LRN"]
    assert attributes(result) == pytest.approx({"size": 3, "alpha": ALPHA, "beta": BETA, "bias": K})
    (record,) = result.report.lrn
    assert record.status == "recovered"


@named(ENDS)
def test_arrangements_of_alpha_k_and_beta(case: tuple) -> None:
    body, constants = case
    result = run(model(body, SCALARS | constants))
    assert operators(result) == ["LRN"]
    assert attributes(result) == pytest.approx({"size": 3, "alpha": ALPHA, "beta": BETA, "bias": K})
    assert len(result.report.lrn) == 1


@named(WITHIN)
def test_within_a_channel(case: tuple) -> None:
    body, constants = case
    result = run(model(body, SCALARS | constants))
    assert operators(result) == ["IntraChannelLRN"]
    assert attributes(result) == pytest.approx({"size": 3, "alpha": ALPHA, "beta": BETA, "bias": K})
    assert [function.name for function in result.model.functions] == ["IntraChannelLRN"]


@named(NEAR_MISSES)
def test_near_misses_stay(case: tuple) -> None:
    body, constants, words = case
    original = model(body, SCALARS | constants)
    result = run(original)
    assert not {"LRN", "IntraChannelLRN"} & set(operators(result))
    (record,) = result.report.lrn
    assert (record.status, words in record.reason) == ("kept", True), record


def test_a_dilated_pool_stays() -> None:
    body = (
        "s = Mul(x, x)  p = Pad(s, pads)  v = AveragePool <kernel_shape=[3,3], dilations=[2,2]> (p)  "
        "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
    )
    result = run(model(body, SCALARS | {"pads": [0, 0, 2, 2, 0, 0, 2, 2]}, opset=19))
    assert "dilations [2, 2]" in result.report.lrn[0].reason


@named(UNRELATED)
def test_other_computations_are_not_mentioned(case: tuple) -> None:
    body, constants = case
    original = model(body, SCALARS | constants)
    result = run(original)
    assert result.report.lrn == []
    assert operators(result) == [node.op_type for node in original.graph.node]


def test_even_window_within_a_channel() -> None:
    """IntraChannelLRN has torch's even windows."""
    body = "s = Mul(x, x)  p = Pad(s, pads)  v = AveragePool <kernel_shape=[4,4]> (p)  "
    end = "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
    result = run(model(body + end, SCALARS | {"pads": [0, 0, 2, 2, 0, 0, 1, 1]}))
    assert operators(result) == ["IntraChannelLRN"]
    mirrored = run(model(body + end, SCALARS | {"pads": [0, 0, 1, 1, 0, 0, 2, 2]}))
    assert "IntraChannelLRN" not in operators(mirrored)


@pytest.mark.parametrize("shape", [("n", 6, "h", "w"), ("n", "c", "h", "w")], ids=["spatial", "all"])
def test_dynamic_shapes(shape: tuple) -> None:
    for body, constants in (WITHIN["two pools"], WITHIN["torch"], ENDS["k first"]):
        result = run(model(body, SCALARS | constants, shape))
        assert operators(result)[-1] in ("LRN", "IntraChannelLRN")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_few_channels(channels: int) -> None:
    """A window larger than the tensor is the same window; a length of 1 confuses no axes."""
    body = (
        "s = Mul(x, x)  r = Reshape(s, s5)  "
        "a = AveragePool <kernel_shape=[5,1,1], pads=[2,0,0,2,0,0], count_include_pad=1> (r) "
        " v = Reshape(a, s4)"
        "  m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
    )
    shape = (2, channels, 1, 7)
    constants = SCALARS | {"s5": [2, 1, channels, 1, 7], "s4": [*shape]}
    result = run(model(body, constants, shape), np.random.default_rng(0).normal(size=shape))
    assert operators(result) == ["LRN"]


def test_whole_channel_sums_are_a_window_too() -> None:
    """The article's normalization over all N channels is LRN of size 2N − 1."""
    body = "s = Mul(x, x)  t = ReduceSum(s, one)  m = Mul(t, alpha)  b = Add(m, k)  y = Div(x, b)"
    result = run(model(body, SCALARS))
    assert operators(result) == ["LRN"]
    assert attributes(result) == pytest.approx({"size": 11, "alpha": 11 * ALPHA, "beta": 1, "bias": K})


def test_an_lrn_in_nhwc() -> None:
    """Between two Transposes, as Keras layers are converted."""
    body = (
        "t = Transpose <perm=[0,2,3,1]> (x)  s = Mul(t, t)  r = Reshape(s, s3)  "
        "a = AveragePool <kernel_shape=[3], pads=[1,1], count_include_pad=1> (r)  v = Reshape(a, s4)  "
        "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  q = Div(t, d) "
        " y = Transpose <perm=[0,3,1,2]> (q)"
    )
    result = run(model(body, SCALARS | {"s3": [2, 35, 6], "s4": [2, 5, 7, 6]}))
    assert "LRN" in operators(result)
    assert not {"AveragePool", "Div"} & set(operators(result))


def test_what_others_read_stays() -> None:
    body, constants = WITHIN["torch"]
    original = model(body, SCALARS | constants)
    original.graph.output.append(helper.make_tensor_value_info("b", 1, SHAPE))
    result = run(original)
    assert operators(result) == ["Mul", "Pad", "AveragePool", "Mul", "Add", "IntraChannelLRN"]


def test_in_a_branch() -> None:
    body, constants = WITHIN["pool with pads"]
    inner = body.replace("y = Div", "branch = Div")
    text = (
        "c = ReduceMax <keepdims=0> (x)  g = Greater(c, k)  "
        f"y = If(g) <then_branch = t () => (float[2,6,5,7] branch) {{ {inner} }}, "
        "else_branch = f () => (float[2,6,5,7] same) { same = Identity(x) }>"
    )
    result = run(model(text, SCALARS | constants))
    assert result.report.lrn[0].status == "recovered"
    assert [function.name for function in result.model.functions] == ["IntraChannelLRN"]


def test_types() -> None:
    body, constants = WITHIN["pool with pads"]
    double = run(model(body, SCALARS | constants, type_="double"))
    assert "computes in float32" in double.report.lrn[0].reason
    body, constants = ENDS["k first"]
    double = run(model(body, SCALARS | constants, type_="double"))
    assert "the input is float64" in double.report.lrn[0].reason
    half = run(model(body, SCALARS | constants, type_="float16"), tolerance=2e-3)
    assert operators(half) == ["LRN"]


def test_a_target_that_takes_more() -> None:
    """TensorRT has no LRN of size 17, onnxruntime has; for onnxruntime's CPU all become fast graphs."""
    body, constants = ENDS["k first"]
    wide = body.replace("[3,1,1]", "[17,1,1]").replace("[1,0,0,1,0,0]", "[8,0,0,8,0,0]")
    original = model(wide, SCALARS | constants)
    assert "size 17 is above 15" in optimize(original).report.lrn[0].reason
    result = optimize(original, target="ort-cpu")
    assert result.report.lrn == [
        LRNRecord(("s", "u", "a", "v", "m", "b", "d", "y"), "lowered", result.report.lrn[0].reason)
    ]
    assert operators(result) == ["Mul", "Conv", "Sqrt", "Sqrt", "Mul", "Div"]


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 18),
    mirrored=st.booleans(),
    alpha=st.floats(0.0625, 4, width=32),
    beta=st.sampled_from([0.5, 0.75, 1.0, 0.25]),
    k=st.sampled_from([0.0, 0.5, 2.0]),
    channels=st.integers(2, 12),
    conv=st.booleans(),
)
def test_recovered_if_and_only_if_allowed(
    size: int, mirrored: bool, alpha: float, beta: float, k: float, channels: int, conv: bool
) -> None:
    spec = nd.LRN(size, alpha, beta, k, "across", "torch" if mirrored else "onnx")
    before, after = spec.window
    shape = (1, channels, 3, 4)
    constants: dict[str, object] = {"alpha": alpha, "beta": beta, "k": k, "one": [1]}
    if conv:
        weight = band(channels, before, after) / size
        window, constants["w"] = "v = Conv(s, w)", weight.reshape(channels, channels, 1, 1)
    else:
        attributes = f"kernel_shape=[{size},1,1], pads=[{before},0,0,{after},0,0], count_include_pad=1"
        window = f"u = Unsqueeze(s, one)  a = AveragePool <{attributes}> (u)  v = Squeeze(a, one)"
    body = f"s = Mul(x, x)  {window}  m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
    result = run(model(body, constants, shape), np.random.default_rng(size).normal(size=shape))
    if not conv or size < channels:  # a band that reaches all channels is that of several sizes
        assert ("LRN" in operators(result)) == (not unsupported_reasons(spec, 4, "float32"))
    assert len(result.report.lrn) == 1
