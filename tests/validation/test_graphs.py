"""Two files, one truth: the deployed graph against the original, both in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.validation import CheckReport, check
from tests.builders import FLOAT, conv_lrn, model, parsed
from tests.validation.networks import Network

Array = NDArray[Any]
DEPTHS = (1, 8)


def against(deployed: onnx.ModelProto, original: onnx.ModelProto, **options: Any) -> CheckReport:
    return check(deployed, reference=original, backends=["onnxruntime"], samples=3, **options)


def weight(proto: onnx.ModelProto, index: int = 0) -> onnx.TensorProto:
    """The largest floating initializers first."""
    floating = [tensor for tensor in proto.graph.initializer if tensor.data_type in (1, 10)]
    return sorted(floating, key=lambda tensor: -np.prod(tensor.dims, initial=1))[index]


def scaled(proto: onnx.ModelProto, factor: float, index: int = 0) -> onnx.ModelProto:
    """With a few numbers of one weight wrong by a factor."""
    proto = copy.deepcopy(proto)
    tensor = weight(proto, index)
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[:40] *= array.dtype.type(factor)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return proto


def optimized(proto: onnx.ModelProto, level: int, tmp_path: Any) -> onnx.ModelProto:
    """What onnxruntime writes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return onnx.load(options.optimized_model_filepath)


# Right


def test_without_a_reference_there_is_nothing_to_compare() -> None:
    report = check(conv_lrn(), backends=["onnxruntime"])
    assert report.graphs is None
    assert report.to_json()["graphs"] is None


def test_a_copy_agrees_to_the_last_bit() -> None:
    report = against(conv_lrn(), conv_lrn())
    assert report.verdict == "pass"
    assert report.graphs is not None
    assert (report.graphs.agree, report.graphs.reason) == (True, "to the last bit")
    assert "the graphs agree in float64: to the last bit" in str(report)


COPIES = {
    "RMSNorm with Pow": """g (float[N, 8] x) => (float[N, 8] y) <float two = {2}, float e = {1e-5}> {
        p = Pow (x, two)
        a = Constant <value_ints = [-1]> ()
        m = ReduceMean (p, a)
        v = Add (m, e)
        r = Sqrt (v)
        y = Div (x, r) }""",
    "GELU-tanh with Pow": """g (float[N, 8] x) => (float[N, 8] y)
        <float three = {3}, float c = {0.044715}, float s = {0.7978846}, float one = {1}, float h = {0.5}> {
        p = Pow (x, three)
        q = Mul (p, c)
        t = Add (x, q)
        u = Mul (t, s)
        t1 = Tanh (u)
        w = Add (t1, one)
        z = Mul (x, w)
        y = Mul (z, h) }""",
    "LayerNorm with Pow": """g (float[N, 8] x) => (float[N, 8] y) <float two = {2}, float e = {1e-5}> {
        a = Constant <value_ints = [-1]> ()
        m = ReduceMean (x, a)
        d = Sub (x, m)
        p = Pow (d, two)
        v = ReduceMean (p, a)
        s = Add (v, e)
        r = Sqrt (s)
        y = Div (d, r) }""",
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_with_exponents_pass(name: str) -> None:
    """An exponent that were disturbed would give NaN for negative bases."""
    report = against(parsed(COPIES[name]), parsed(COPIES[name]))
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", ["portable", "ort-cpu", "tensorrt"])
def test_rewritten_models_agree(depth: int, seed: int, target: Any) -> None:
    original = Network(seed=seed, depth=depth, softmax=False).model()
    report = against(nd.optimize(original, target=target, verify=False).model, original)
    assert report.verdict == "pass", str(report)
    assert report.graphs is not None
    (output,) = report.graphs.outputs
    assert 0 < output.comparison.noise_ratio < 0.8
    assert "of what the rounding of stored weights explains" in str(report.graphs)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_what_onnxruntime_folds_agrees(seed: int, level: int, tmp_path: Any) -> None:
    """It multiplies scales into filters in float32, so that a bias can lose bits by cancellation."""
    original = Network(seed=seed, depth=4, softmax=False).model()
    report = against(optimized(original, level, tmp_path), original)
    assert report.graphs is not None
    assert report.graphs.agree, str(report)
    assert report.graphs.outputs[0].comparison.noise_ratio < 0.8


def half(proto: onnx.ModelProto) -> onnx.ModelProto:
    return convert_float_to_float16(copy.deepcopy(proto), keep_io_types=True)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("softmax", [True, False])
def test_half_precision_is_compared_with_rounded_weights(depth: int, softmax: bool) -> None:
    original = Network(depth=depth, softmax=softmax).model()
    report = against(half(original), original)
    assert report.graphs is not None
    assert report.graphs.agree, str(report)
    assert report.graphs.outputs[0].comparison.max_rel_error < 1e-5  # where weights' rounding is 5e-4


def test_a_limit_that_half_precision_rounds_is_no_defect() -> None:
    """0.1 in float16 is 0.09998: the clipped outputs are right with that limit."""
    text = "g (float[N, 64] x) => (float[N, 64] y) <float l = {0}, float h = {0.1}> { y = Clip (x, l, h) }"
    original = parsed(text)
    deployed = model(
        [
            helper.make_node("Cast", ["x"], ["half"], to=onnx.TensorProto.FLOAT16),
            helper.make_node("Clip", ["half", "l", "h"], ["c"]),
            helper.make_node("Cast", ["c"], ["y"], to=FLOAT),
        ],
        {"x": (FLOAT, ["N", 64])},
        {"y": (FLOAT, ["N", 64])},
        {"l": np.array(0, np.float16), "h": np.array(0.1, np.float16)},
    )
    report = against(deployed, original)
    assert report.verdict == "pass", str(report)


# Wrong


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("half_precision", [False, True])
def test_a_few_numbers_off_by_a_millionth_are_seen(depth: int, half_precision: bool) -> None:
    """Most numbers of the weight are the original's, so that no rounding explains the others."""
    original = Network(depth=depth, softmax=False).model()
    wrong = scaled(original, 1 + 1e-3) if half_precision else scaled(original, 1 + 1e-6)
    report = against(half(wrong) if half_precision else wrong, original)
    assert report.verdict == "mismatch"
    assert report.graphs is not None
    assert not report.graphs.agree
    if not half_precision:
        assert report.backends[0].status == "pass"


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_percent_in_a_folded_filter_is_seen(depth: int) -> None:
    """Of the first 40 numbers of the largest weight; all of it is a rounding of what the original means."""
    original = Network(depth=depth, softmax=False).model()
    folded = nd.optimize(original, verify=False).model
    report = against(scaled(folded, 1.01), original)
    assert report.verdict == "mismatch"
    assert report.graphs is not None
    assert "beyond what the rounding of stored weights explains" in report.graphs.reason


@pytest.mark.parametrize("change", [{"beta": 0.7500008}, {"alpha": 1e-2 * (1 + 1e-6)}, {"bias": 2.000002}])
def test_a_parameter_off_by_a_millionth_is_seen_in_half_precision(change: dict[str, float]) -> None:
    """The weights are those of the original, rounded: nothing is allowed for them."""
    deployed = half(conv_lrn(**change))
    report = against(deployed, conv_lrn())
    assert report.graphs is not None
    assert not report.graphs.agree
    assert report.backends[0].status == "pass"
    assert report.verdict == "mismatch"


@pytest.mark.parametrize("op_type", ["Upsample", "Resize"])
def test_negated_weights_before_an_upsampling_are_caught(op_type: str) -> None:
    """Disturbed scales would change the shape, and then everything would be allowed."""

    def network(sign: float) -> onnx.ModelProto:
        weights = {
            "w": sign * np.random.default_rng(0).normal(size=(4, 3, 1, 1)),
            "s": np.array([1, 1, 2, 2]),
        }
        return model(
            [
                helper.make_node("Conv", ["x", "w"], ["c"]),
                helper.make_node(op_type, ["c", "s"], ["y"], mode="nearest"),
            ],
            {"x": (FLOAT, ["N", 3, 4, 4])},
            {"y": (FLOAT, ["N", 4, 8, 8])},
            {name: array.astype(np.float32) for name, array in weights.items()},
            opset=9 if op_type == "Upsample" else 10,
        )

    assert against(network(1.0), network(1.0)).verdict == "pass"
    report = against(network(-1.0), network(1.0))
    assert report.verdict == "mismatch"
    assert report.backends[0].status == "mismatch"


def test_outputs_of_another_shape_differ() -> None:
    same = parsed("g (float[N, 4] x) => (float[N, M] y) { y = Identity (x) }")
    twice = parsed("g (float[N, 4] x) => (float[N, M] y) { y = Concat <axis = 1> (x, x) }")
    report = against(twice, same)
    assert report.graphs is not None
    assert report.graphs.reason.startswith("output 'y' has shape [1, 8], and [1, 4] in the reference")


# Who decides


def test_a_tolerance_decides_as_it_does_for_backends() -> None:
    wrong, right = conv_lrn(beta=0.7500008), conv_lrn()
    assert against(wrong, right).verdict == "mismatch"
    report = against(wrong, right, rtol=1e-5, atol=1e-3)
    assert report.verdict == "pass"
    assert report.graphs is not None
    assert report.graphs.reason.endswith("of what the tolerance explains")
    assert against(conv_lrn(beta=0.74), right, rtol=1e-5, atol=1e-3).verdict == "mismatch"


def test_a_gate_decides_as_it_does_for_backends() -> None:
    x = np.array([[1.0, 2.0], [2.0, 1.0]] * 2, np.float32)
    right = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = Identity (x) }")
    near = parsed("g (float[N, 2] x) => (float[N, 2] y) <float c = {1.01}> { y = Mul (x, c) }")
    report = against(near, right, data={"x": x}, max_flips=0)
    assert report.graphs is not None
    assert (report.verdict, report.graphs.gate, report.graphs.flips) == ("pass", "met", 0)
    turned = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = Neg (x) }")
    report = against(turned, right, data={"x": x}, max_flips=2)
    assert report.graphs is not None
    assert (report.verdict, report.graphs.gate, report.graphs.flips) == ("mismatch", "missed", 3)


def test_flips_are_those_from_the_original_as_it_stands() -> None:
    """Rounding the weights to float16 makes two scores equal, which flips a class."""
    scores = np.array([[1.0, 1.0003]], np.float32)

    def classifier(dtype: Any) -> onnx.ModelProto:
        nodes = [
            helper.make_node("Cast", ["w"], ["wide"], to=FLOAT),
            helper.make_node("Mul", ["x", "wide"], ["y"]),
        ]
        weights = {"w": scores.astype(dtype)}
        return model(nodes, {"x": (FLOAT, ["N", 2])}, {"y": (FLOAT, ["N", 2])}, weights)

    x = np.ones((4, 2), np.float32)
    report = against(classifier(np.float16), classifier(np.float32), data={"x": x}, max_flips=0)
    assert report.graphs is not None
    assert (report.graphs.flips, report.backends[0].flips, report.verdict) == (3, 3, "mismatch")


def test_the_graphs_alone_are_worth_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a runtime."""
    absent = catalog.Backend("absent", "absent:open", ("absent_module",), "absent", "cpu")
    monkeypatch.setattr("normdeploy.validation.checker.BACKENDS", {"absent": absent})
    monkeypatch.setattr(catalog, "BACKENDS", {"absent": absent})
    assert check(conv_lrn()).verdict == "error"
    assert check(conv_lrn(), reference=conv_lrn()).verdict == "pass"
    assert check(conv_lrn(beta=0.7500008), reference=conv_lrn()).verdict == "mismatch"
    assert check(conv_lrn(), reference=conv_lrn(), backends=["absent"]).verdict == "error"


def test_localize_names_the_node_that_no_backend_shows() -> None:
    report = against(conv_lrn(beta=0.7500008, dtype=np.float16), conv_lrn(), localize=True)
    assert report.backends[0].localization is None
    assert report.graphs is not None
    found = report.graphs.localization
    assert found is not None
    assert found.first is not None
    assert (found.first.node, found.first.how) == ("lrn", "reference")
    assert "first wrong node: lrn (LRN, output y)" in str(report)
    assert report.to_json()["graphs"]["first_divergence"]["node"] == "lrn"


def test_a_quantized_model_is_said_to_be_moved() -> None:
    original = parsed("g (float[N, 2] x) => (float[N, 2] y) { y = Identity (x) }")
    quantized = parsed("""g (float[N, 2] x) => (float[N, 2] y) {
        scale = Constant <value_float = 0.5> ()
        q = QuantizeLinear (x, scale)
        y = DequantizeLinear (q, scale) }""")
    report = against(quantized, original)
    assert report.graphs is not None
    assert report.graphs.reason.endswith(
        "quantization moves numbers away from those of the reference: --max-flips and --max-accuracy-drop "
        "limit what it may cost"
    )
    assert against(quantized, quantized).verdict == "pass"
