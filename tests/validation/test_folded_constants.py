"""Constants that the original computes, in files of tools that fold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation import check
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.folded_constants import as_stored
from normdeploy.validation.judge import Judge
from tests.builders import parsed

RESIZED = "q = Div (a, b) r = Reshape (q, n) s = Concat <axis = 0> (o, r, r) y = Resize <mode = {}> (x, e, s)"
COMPUTED = {
    "exponent": "k = Div (b, a) z = Abs (x) y = Pow (z, k)",
    "limits": "h = Mul (a, b) l = Neg (h) y = Clip (x, l, h)",
    "threshold": "t = Mul (a, b) y = Max (x, t)",
    "replacement": "t = Mul (a, b) c = Less (x, t) y = Where (c, t, x)",
    "divisor": "t = Mul (a, b) y = Mod <fmod = 1> (x, t)",
    "padding": "t = Mul (a, b) y = Pad (x, p, t)",
    "step": "s = Mul (a, b) q = QuantizeLinear (x, s) y = DequantizeLinear (q, s)",
    "linear": RESIZED.format('"linear"'),
    "cubic": RESIZED.format('"cubic"'),
    "grid": "t = Mul (a, g) y = GridSample (x, t)",
}
"""What becomes of x by a number that 0.3 and 0.7 make; its role -> the nodes."""


def original(role: str) -> onnx.ModelProto:
    return parsed(f"""
    g (float[1, 2, 6, 6] x) => (float[A, B, C, D] y) <float a = {{0.7}}, float b = {{0.3}},
        int64[1] n = {{1}}, int64[8] p = {{0, 0, 1, 1, 0, 0, 1, 1}}, float[2] o = {{1, 1}}, float[0] e = {{}},
        float[1, 1, 3, 2] g = {{0.7, 0.1, -0.3, 0.9, 0.2, -0.5}}> {{ {COMPUTED[role]} }}""")


def folded(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """What onnxruntime makes of it at its lowest level."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = onnx.load(path)
    assert len(found.graph.node) < len(model.graph.node)
    return found


def graph_of(deployed: onnx.ModelProto, role: str) -> TensorComparison:
    """The deployed graph against the original."""
    judge = Judge(Evaluator(inferred(deployed)), Evaluator(original(role)))
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
    return judge.on({"x": x}).compare_graph("y")


@pytest.mark.parametrize("role", COMPUTED)
def test_a_folded_parameter_is_right(role: str, tmp_path: Path) -> None:
    found = graph_of(folded(original(role), tmp_path / "folded.onnx"), role)
    assert (found.wrong, found.max_abs_error) == (0, 0)


@pytest.mark.parametrize("role", ["exponent", "limits", "linear"])
def test_one_that_is_off_by_two_millionths_is_wrong(role: str, tmp_path: Path) -> None:
    deployed = folded(original(role), tmp_path / "folded.onnx")
    for tensor in deployed.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if tensor.data_type == onnx.TensorProto.FLOAT:
            wrong = np.where(array % 1, array * np.float32(1 - 2e-6), array)
            tensor.CopyFrom(onnx.numpy_helper.from_array(wrong, tensor.name))
    assert graph_of(deployed, role).wrong


def test_a_backend_is_held_against_the_number_that_it_has(tmp_path: Path) -> None:
    deployed = folded(original("limits"), tmp_path / "folded.onnx")
    report = check(deployed, reference=original("limits"), backends=["onnxruntime"], samples=2)
    assert report.verdict == "pass", str(report)
    assert report.backends[0].outputs[0].comparison.max_abs_error == 0


def test_what_is_no_constant_of_the_original_changes_nothing() -> None:
    model = inferred(original("exponent"))
    assert as_stored(model, model) is model
    assert as_stored(model, inferred(original("limits"))) is model
