"""What half precision would do to normalization layers, on cases whose answer is known."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.lrn import LRN, lrn
from normdeploy.reference import Evaluator
from normdeploy.validation.half_precision import extents
from normdeploy.validation.half_precision.findings import OverflowWatch, static_findings
from tests.builders import model

FLOAT = TensorProto.FLOAT


def of_lrn(x, channels=5, size=5, **parameters):
    spec = LRN(size, **{"alpha": 1e-4, "beta": 0.75, "k": 2.0, **parameters}, convention="onnx")
    return extents.of_lrn(np.full((1, channels, 2, 2), float(x)), spec)


def test_300_overflows():
    found = of_lrn(300, channels=1)
    assert (found.max_abs, found.largest, found.overflow, found.elements) == (300, 90_000, 4, 4)


def test_100_in_5_channels_does_not():
    found = of_lrn(100)
    assert (found.largest, found.overflow, found.underflow) == (50_000, 0, 0)


def test_the_limit_is_the_largest_half():
    assert of_lrn(np.sqrt(65504), channels=1).overflow == 0
    assert of_lrn(np.sqrt(65505), channels=1).overflow == 4


def test_windows_at_the_border_hold_fewer_squares():
    """115² · 5 = 66125 only in the middle channel of five; its neighbours' windows hold 3 or 4."""
    found = of_lrn(115)
    assert (found.overflow, found.elements) == (4, 20)


def test_overflow_is_what_makes_an_output_zero():
    """The arithmetic in float16 itself, on both sides of the limit."""
    for value, channels in ((300.0, 1), (100.0, 5), (115.0, 5)):
        x = np.full((1, channels, 2, 2), value, np.float16)
        with np.errstate(over="ignore"):
            squares = np.zeros_like(x)
            for offset in range(-2, 3):
                for channel in range(max(0, -offset), min(channels, channels - offset)):
                    squares[:, channel] += x[:, channel + offset] ** 2
            y = x / (np.float16(2) + np.float16(1e-4 / 5) * squares) ** np.float16(0.75)
        assert np.count_nonzero(y == 0) == of_lrn(value, channels).overflow
        assert np.count_nonzero(lrn(x.astype(np.float64), LRN(5, 2e-5, 0.75, 2.0)) == 0) == 0


def test_within_a_channel_the_window_has_two_axes():
    spec = LRN(3, 1e-4, 0.75, 1.0, "within", "torch")
    assert extents.of_lrn(np.full((1, 1, 3, 3), 90.0), spec).overflow == 1  # 9 · 8100 in the middle only


def test_squares_that_vanish_matter_without_a_constant():
    assert of_lrn(1e-4, k=0.0).underflow == 20
    assert of_lrn(1e-4, k=2.0).underflow == 0
    assert of_lrn(0.0, k=0.0).underflow == 0  # 0 / 0 in every precision


def test_an_alpha_that_vanishes():
    """α/n = 2e-8 becomes 0: where α·sum counts, the layer no longer normalizes."""
    assert of_lrn(100, alpha=1e-7).underflow == 0  # 1e-3 beside k = 2 is lost in rounding anyway
    assert of_lrn(100, alpha=1e-7, k=1e-3).underflow == 20


def batch_norm(variance, scale=1.0, shift=0.0, mean=0.0, epsilon=1e-5, x=None):
    parameters = (np.array([1.0, value]) for value in (scale, shift, mean, variance))
    return extents.of_batch_norm(*parameters, epsilon, x=x)


def test_batch_norm_counts_channels():
    assert batch_norm(1.0) == extents.Extent(2, 0.0, 1.00001)
    assert batch_norm(1e5).overflow == 1
    assert batch_norm(1e-10, epsilon=1e-9).underflow == 1  # both vanish: division by 0
    assert batch_norm(1e-10, epsilon=1e-5).underflow == 0
    assert batch_norm(1e-6, scale=1e3, epsilon=0.0).overflow == 1  # a factor of 10⁶


def test_batch_norm_on_data():
    x = np.zeros((3, 2, 2))
    assert batch_norm(1.0, x=x).overflow == 0
    x[1, 1, 1] = -7e4
    assert batch_norm(1.0, x=x).overflow == 1
    x[1, 1, 1] = 60.0
    assert batch_norm(1e-4, scale=20.0, epsilon=0.0, x=x).overflow == 1  # 60 · 20 / 0.01


def test_groups():
    x = np.tile([100.0, -100.0], 8).reshape(1, 1, 16)
    assert extents.of_groups(x, [2], 1e-5, centred=True).overflow == 16
    assert extents.of_groups(x / 2, [2], 1e-5, centred=True).overflow == 0
    flat = np.full((1, 1, 16), 100.0)
    assert extents.of_groups(flat, [2], 1e-5, centred=True) == extents.Extent(16, 100.0, 0.0)
    assert extents.of_groups(flat, [2], 1e-12, centred=True).underflow == 16
    assert extents.of_groups(flat, [2], 1e-12, centred=False).overflow == 16


def network(variance=1.0, scale=1.0):
    """x -> BatchNorm -> Relu -> LRN -> InstanceNorm -> y."""
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"], "bn"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("LRN", ["r"], ["l"], "lrn", size=5),
        helper.make_node("InstanceNormalization", ["l", "s", "b"], ["y"], "instance"),
    ]
    weights = {
        name: np.full(6, value, np.float32)
        for name, value in {"s": scale, "b": 0, "m": 0, "v": variance}.items()
    }
    dims = ["N", 6, 3, 3]
    loaded = load(model(nodes, {"x": (FLOAT, dims)}, {"y": (FLOAT, dims)}, weights))
    infer(loaded)
    return loaded


def watched(whole, *batches):
    watch, evaluator = OverflowWatch(whole), Evaluator(whole)
    for x in batches:
        watch.start({"x": x})
        evaluator.run({"x": x}, on_node=watch.on_node)
    return {finding.node: finding for finding in watch.findings()}


def test_every_layer_of_a_model_is_watched_over_all_batches():
    quiet, loud = np.ones((2, 6, 3, 3), np.float32), np.full((1, 6, 3, 3), 300, np.float32)
    found = watched(network(), quiet, loud)
    assert list(found) == ["bn", "lrn", "instance"]
    assert [finding.problem for finding in found.values()] == [None, "overflow", None]
    overflow = found["lrn"].extent
    assert overflow.max_abs == pytest.approx(300, rel=1e-4)
    assert overflow.largest == pytest.approx(5 * 300**2, rel=1e-4)
    assert (overflow.overflow, overflow.elements) == (54, 162)
    assert "54 of 162 outputs become 0" in str(found["lrn"])
    assert "divide its input by 4, multiply alpha by 16" in found["lrn"].fix
    json.dumps([finding.to_json() for finding in found.values()], allow_nan=False)


def test_the_advice_is_right():
    """Dividing the input by s, multiplying alpha by s² and the output by s changes only the range."""
    x = np.random.default_rng(0).uniform(100, 300, (1, 6, 3, 3))
    s = 4
    scaled = lrn(x / s, LRN(5, 1e-4 * s**2, 0.75, 2.0)) * s
    assert scaled == pytest.approx(lrn(x, LRN(5, 1e-4, 0.75, 2.0)), rel=1e-12)
    assert extents.of_lrn(x / s, LRN(5, 1e-4 * s**2, 0.75, 2.0)).overflow == 0


def test_weights_alone():
    assert [finding.problem for finding in static_findings(network())] == [None, None]
    assert [finding.problem for finding in static_findings(network(variance=1e5))] == ["overflow", None]
    assert [finding.problem for finding in static_findings(network(scale=200.0))] == [None, "overflow"]
    assert [finding.problem for finding in static_findings(network(scale=100.0))] == [None, None]
