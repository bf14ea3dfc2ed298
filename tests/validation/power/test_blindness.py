"""A pass that is worth nothing says so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.backends import catalog
from normdeploy.validation import check
from normdeploy.validation.power import blindness
from normdeploy.validation.power.walk import outputs_with_errors
from tests.builders import FLOAT, Graph, conv_lrn, model, parsed, unary
from tests.validation import spoiled_backends


def classifier(lead: float) -> onnx.ModelProto:
    """Three classes, the first of which leads by so much."""
    weights = {"w": np.random.default_rng(0).standard_normal((6, 3)), "b": np.array([lead, 0, 0])}
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        {"x": (FLOAT, ["N", 6])},
        {"probabilities": (FLOAT, ["N", 3])},
        {name: array.astype(np.float32) for name, array in weights.items()},
    )


def dead_relu() -> onnx.ModelProto:
    g = Graph()
    x = g.input("x", "N", 3, 6, 6)
    return g.model(g.node("Relu", g.node("Conv", x, g.normal(4, 3, 3, 3), g.weight(np.full(4, -1e5)))))


def blind(proto: onnx.ModelProto, backend: str = "onnxruntime", **options: Any) -> dict[str, str]:
    report = check(proto, backends=[backend], **{"samples": 3, **options})
    assert report.verdict == "pass", str(report)
    return {entry.output: entry.reason for entry in report.blind}


@pytest.fixture
def negated(monkeypatch) -> str:
    """A backend in which every weight has the other sign."""
    name = "negates_weights"
    monkeypatch.setitem(catalog.BACKENDS, name, catalog.Backend(name, f"{spoiled_backends.__name__}:{name}"))
    return name


def test_a_saturated_softmax_says_so(negated):
    assert blind(classifier(1e5), negated) == {"probabilities": "saturated softmax"}
    assert blind(classifier(0.0)) == {}
    assert check(classifier(0.0), backends=[negated], samples=3).verdict == "mismatch"


def test_a_dead_relu_says_so(negated):
    (reason,) = blind(dead_relu(), negated).values()
    assert reason == "dead ReLU: every element is 0"


def test_the_verdicts_line():
    report = check(classifier(1e5), backends=["onnxruntime"], samples=2)
    line = "verdict: pass, but blind: output 'probabilities' can't show a 1 % error (saturated softmax)"
    assert str(report).splitlines()[-1] == line
    assert json.loads(json.dumps(report.to_json()))["blind"] == [
        {"output": "probabilities", "reason": "saturated softmax"}
    ]


def test_a_mismatch_has_it_beside(monkeypatch):
    both = parsed("""g (float[N, 2] x) => (float[N, 2] y, float[N, 2] z) {
        zero = Constant <value = float {0}> ()
        y = Mul (x, zero)
        z = Sqrt (x)
    }""")
    report = check(both, backends=["onnxruntime"], samples=2, rtol=0, atol=0)
    assert report.verdict == "mismatch"
    assert str(report).splitlines()[-1] == (
        "verdict: mismatch, and blind: output 'y' can't show a 1 % error (every element is 0)"
    )


def test_nan_and_constants():
    g = Graph()
    x = g.input("x", "N", 3)
    nan = g.node("Add", x, g.weight(np.nan))
    constant = g.node("Mul", x, g.weight(0.0))
    infinite = g.node("Add", x, g.weight(np.inf))
    stored = g.node("Add", g.weight(np.ones(3)), g.weight(1.0))
    assert blind(g.model(nan, constant, infinite, stored)) == {
        nan: "every element is NaN",
        constant: "every element is 0",
        infinite: "every element is NaN or infinite",
        stored: "it depends on no input",
    }


@pytest.mark.parametrize(
    "proto",
    [conv_lrn(), conv_lrn(dtype=np.float16), unary("Sqrt", ["N", 50]), unary("Softmax", ["N", 5])],
    ids=["float32", "float16", "Sqrt", "Softmax"],
)
def test_most_outputs_can_show_it(proto):
    assert blind(proto) == {}


def test_integers_are_compared_exactly():
    graph = "g (int64[N] x) => (int64[N] y) { y = Add (x, x) }"
    assert blind(parsed(graph)) == {}


def test_classes_that_do_not_change():
    graph = """g (float[N, 3] x) => (int64[N] y) {
        lead = Constant <value = float[3] {0, 100000, 0}> ()
        z = Add (x, lead)
        y = ArgMax <axis = 1, keepdims = 0> (z)
    }"""
    assert blind(parsed(graph)) == {"y": "every element is 1"}


def test_a_tolerance_may_be_too_large():
    assert blind(conv_lrn(), rtol=0.001) == {}
    (reason,) = blind(conv_lrn(), rtol=0.5).values()
    assert reason.endswith(" times as far as the tolerance allows")


def test_one_sample_that_shows_it_is_enough():
    x = np.zeros((3, 6), np.float32)
    assert blind(classifier(20.0), data={"x": x}) == {"probabilities": "saturated softmax"}
    x[1] = np.linalg.lstsq(np.random.default_rng(0).standard_normal((6, 3)).T, [-20.0, 0, 0], rcond=None)[0]
    assert blind(classifier(20.0), data={"x": x}) == {}


@pytest.mark.parametrize(("values", "looked_at"), [([1.0, 2.0, 3.0], [1.0]), ([1.0, 2.0, -1e3], [1.0, -1e3])])
def test_a_batch_with_the_same_outputs_is_not_looked_at_again(monkeypatch, values, looked_at):
    looked = []

    def counted(evaluator, cuts, inputs, *args, **options):
        looked.append(inputs["x"].item())
        return outputs_with_errors(evaluator, cuts, inputs, *args, **options)

    monkeypatch.setattr(blindness, "outputs_with_errors", counted)
    graph = """g (float[1, 1] x) => (float[1, 1] y) {
        shift = Constant <value = float[1] {-100}> ()
        shifted = Sub (shift, x)
        y = Relu (shifted)
    }"""
    found = blind(parsed(graph), data={"x": np.array([[value] for value in values], np.float32)})
    assert list(dict.fromkeys(looked)) == looked_at
    assert found == ({"y": "dead ReLU: every element is 0"} if looked_at == [1.0] else {})


def test_sizes_that_are_computed():
    graph = """g (float[1, 4] x) => (float[1, M] y) {
        four = Constant <value = float[1] {4}> ()
        one = Constant <value = float[1] {0}> ()
        zeros = ReduceSum <keepdims = 0> (x)
        nothing = Mul (zeros, one)
        length = Add (four, nothing)
        size = Cast <to = 7> (length)
        first = Constant <value_ints = [1]> ()
        shape = Concat <axis = 0> (first, size)
        y = Reshape (x, shape)
    }"""
    assert blind(parsed(graph), samples=2) == {}


def test_a_shape_is_compared_exactly():
    graph = """g (float[N, 6] x) => (float[N, 3] y, int64[2] s) {
        w = Constant <value = float[6, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}> ()
        y = MatMul (x, w)
        s = Shape (y)
    }"""
    assert blind(parsed(graph)) == {}


def test_what_amplified_errors_explain_is_not_seen():
    """Without them, the error is more than what is allowed."""
    g = Graph(np.float16)
    x = g.input("x", "N", 8)
    mean = g.node("ReduceMean", g.node("Mul", x, x), axes=[1], keepdims=1)
    base = g.node("Add", g.node("Mul", mean, g.weight(1e-4)), g.weight(1.0))
    proto = g.model(g.node("Div", x, g.node("Pow", base, g.weight(0.75))))
    data = {"x": np.random.default_rng(1).uniform(-200, 200, (1, 8)).astype(np.float16)}
    report = check(proto, backends=["onnxruntime"], data=data)
    (entry,) = report.blind
    _, _, times, *rest = entry.reason.split()
    assert float(times) <= 1
    assert " ".join(rest) == "times as far as rounding may move it"


def test_what_is_common_to_a_channel_may_be_taken_out_again():
    g = Graph()
    conv = g.node("Conv", g.input("x", "N", 1, 8, 8), g.normal(1, 1, 3, 3))
    norm = g.node("ReduceL2", conv, axes=[1, 2, 3], keepdims=1)
    assert blind(g.model(g.node("Div", conv, norm))) == {}
