"""How small an error in each layer is called wrong: what is measured, and that a planted error is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.errors import UsageError
from normdeploy.validation import CheckReport, check
from normdeploy.validation.power.result import Power
from tests.builders import FLOAT, Graph, classifier, conv_lrn, model, parsed
from tests.validation.networks import residual_network


def measured(proto: onnx.ModelProto, **options: Any) -> Power:
    report = check(proto, backends=["onnxruntime"], **{"samples": 3, "power": True, **options})
    assert report.power is not None
    return report.power


def test_layers_of_a_network_in_order():
    power = measured(residual_network())
    assert [layer.node for layer in power.layers] == ["conv1", "lrn", "conv2", "conv3"]
    assert all(1e-7 < layer.smallest_detectable < 1e-3 for layer in power.layers)
    assert power.smallest_everywhere == max(layer.size for layer in power.layers)


def test_a_tolerance_tells_the_size():
    """The last layer's error is the output's: what a relative tolerance allows."""
    power = measured(conv_lrn(), rtol=0.02)
    assert power.layers[-1].smallest_detectable == pytest.approx(0.02, rel=0.25)


@pytest.mark.parametrize("factor", [0.2, 1 / 0.2])
def test_rounding_tells_the_size(factor):
    """A scale before a small sum makes the sum's error of its own size smaller or larger."""
    graph = f"""g (float[N, 40] x) => (float[N, 40] y) {{
        w = Constant <value = float {{{factor}}}> ()
        one = Constant <value = float {{1}}> ()
        positive = Sigmoid (x)
        small = Mul (positive, w)
        y = Add (small, one)
    }}"""
    small, total = measured(parsed(graph)).layers
    assert small.smallest_detectable / total.smallest_detectable == pytest.approx(
        (factor + 1) / factor, rel=0.5
    )


def test_a_normalization_of_single_maps_takes_factors_out_again():
    g = Graph()
    conv = g.node("Conv", g.input("x", "N", 3, 8, 8), g.normal(4, 3, 3, 3))
    norm = g.node("InstanceNormalization", conv, g.weight(np.ones(4)), g.weight(np.zeros(4)))
    assert measured(g.model(norm)).smallest_everywhere < 1e-4


def test_float16_sees_less():
    assert (
        measured(conv_lrn(dtype=np.float16)).smallest_everywhere
        > 100 * measured(conv_lrn()).smallest_everywhere
    )


def test_layers_that_no_output_shows():
    weights = {"w": np.eye(3), "b": np.array([1e5, 0, 0]), "v": np.ones(3)}
    proto = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("Mul", ["probabilities", "v"], ["y"]),
        ],
        {"x": (FLOAT, ["N", 3])},
        {"y": (FLOAT, ["N", 3])},
        {name: array.astype(np.float32) for name, array in weights.items()},
    )
    power = measured(proto)
    seen = {layer.node: layer.smallest_detectable for layer in power.layers}
    assert seen["product"] is None
    assert seen["logits"] is None
    assert seen["y"] < 1e-5
    assert power.smallest_everywhere is None


def test_the_samples_are_pooled():
    """A layer is seen where one sample shows it, whichever that is."""
    g = Graph()
    x = g.input("x", "N", 4)
    proto = g.model(g.node("Relu", g.node("Mul", x, g.weight(np.ones(4)))))
    x = -np.ones((200, 4), np.float32)
    assert measured(proto, data={"x": x}, samples=None).smallest_everywhere is None
    x[150] = 1
    assert measured(proto, data={"x": x}, samples=None).smallest_everywhere < 1e-5


def test_classes_are_seen_where_they_change():
    graph = """g (float[N, 3] x) => (int64[N] y) {
        w = Constant <value = float[3] {1, 1, 1}> ()
        z = Mul (x, w)
        y = ArgMax <axis = 1, keepdims = 0> (z)
    }"""
    (layer,) = measured(parsed(graph), data={"x": np.array([[1, 1.2, 0]], np.float32)}).layers
    assert layer.smallest_detectable is None or 0.05 < layer.smallest_detectable < 0.25


def test_the_same_seed_gives_the_same():
    first, second = (measured(residual_network(), seed=3) for _ in range(2))
    assert first == second
    assert measured(residual_network(), seed=4) != first


def test_a_gate():
    report = check(conv_lrn(), backends=["onnxruntime"], samples=2, power=True, min_power="1%")
    assert report.verdict == "pass"
    report = check(conv_lrn(), backends=["onnxruntime"], samples=2, power=True, min_power=1e-8)
    assert report.verdict == "mismatch"
    assert "and --min-power asks for 1e-06 %" in str(report)
    with pytest.raises(UsageError, match="give --power too"):
        check(conv_lrn(), backends=["onnxruntime"], min_power=0.01)


def test_where_nothing_was_run_there_is_none():
    report: CheckReport = check(conv_lrn(), backends=["tensorrt"], samples=1, power=True, min_power=0.01)
    if report.backends[0].status != "unavailable":
        pytest.skip("TensorRT works here")
    assert report.power is None
    assert report.verdict == "error"


def test_progress():
    told: list[tuple[int, int | None]] = []
    measured(conv_lrn(), samples=2, progress=lambda done, count: told.append((done, count)))
    assert told == [(1, 2), (2, 2), (1, 2), (2, 2)]


def test_a_gate_on_classes_is_not_about_numbers():
    options = {"backends": ["onnxruntime"], "samples": 2, "power": True, "max_flips": 0}
    with pytest.raises(UsageError, match="the classes decide: leave it out, or them"):
        check(classifier(), min_power="1%", **options)
    line = "power is about numbers: the gate decides by classes, and may pass larger errors"
    assert line in check(classifier(), **options).remarks
    assert line not in check(classifier(), **{**options, "max_flips": None}).remarks


def test_signs_that_one_sample_hides_are_looked_for_in_the_others():
    """An error that leaves the largest number of one sample where it is moves that of another."""
    graph = """g (float[1, 8] x) => (int64[1] y) {
        w = Constant <value = float[8] {1, 1, 1, 1, 1, 1, 1, 1}> ()
        z = Mul (x, w)
        y = ArgMax <axis = 1, keepdims = 0> (z)
    }"""
    x = (1 + 0.01 * np.eye(8)).astype(np.float32)
    (layer,) = measured(parsed(graph), data={"x": x}, samples=None).layers
    assert layer.smallest_detectable is not None
    assert 0.005 < layer.smallest_detectable < 0.01
