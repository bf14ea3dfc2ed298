"""What half precision would do to the layers of a model, watched on data or told by its weights."""

import json

import numpy as np
import pytest
from onnx import helper

from normdeploy.graph.inference import inferred
from normdeploy.lrn import LRN, lrn
from normdeploy.reference import Evaluator
from normdeploy.validation.half_precision import extents
from normdeploy.validation.half_precision.findings import OverflowWatch, findings_on_data, static_findings
from tests.builders import FLOAT, model


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
    return inferred(model(nodes, {"x": (FLOAT, dims)}, {"y": (FLOAT, dims)}, weights))


def watched(whole, *batches):
    watch, evaluator = OverflowWatch(whole), Evaluator(whole)
    for x in batches:
        seen = watch.start({"x": x})
        evaluator.run({"x": x}, on_node=seen)
        watch.add(seen)
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


def test_data_of_several_batches_is_watched_as_a_whole():
    x = np.concatenate([np.ones((64, 6, 3, 3), np.float32), np.full((1, 6, 3, 3), 300, np.float32)])
    seen = []
    found, remarks = findings_on_data(network(), {"x": x}, lambda done, total: seen.append((done, total)))
    assert found == list(watched(network(), x[:64], x[64:]).values())
    assert seen == [(64, 65), (65, 65)]
    assert remarks == []


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
