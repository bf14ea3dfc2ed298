"""Quantized models, and what onnxruntime's fused kernels make of them."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.backends import catalog
from normdeploy.graph.io import load
from normdeploy.validation import check
from normdeploy.validation.quantization import is_quantized, output_steps
from tests.builders import conv_lrn, parsed

SAMPLES = 64
"""One batch, in which the fused kernels differ already."""

DIGITS = Path(__file__).parents[2] / "models" / "digits"


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """The digits network with a Softmax behind it, and the same in 8 bits as onnxruntime quantizes it."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    images = np.load(DIGITS / "heldout.npz")["image"]
    folder = tmp_path_factory.mktemp("quantized")
    network = onnx.load(DIGITS / "digits.onnx")
    network.graph.node.append(helper.make_node("Softmax", ["scores"], ["probabilities"]))
    network.graph.output[0].name = "probabilities"
    onnx.save(network, folder / "float.onnx")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"image": images[:200]}])

        def get_next(self):
            return next(self.batches, None)

    logging.disable(logging.WARNING)
    try:
        quantization.quantize_static(folder / "float.onnx", folder / "int8.onnx", Reader())
    finally:
        logging.disable(logging.NOTSET)
    return folder


@pytest.fixture
def rounds_up(monkeypatch):
    """A backend whose fused kernels round elsewhere than onnxruntime's, whose own rounding is known."""
    backend = catalog.Backend("spoiled", "tests.validation.spoiled_backends:rounds_up", takes_optimize=True)
    monkeypatch.setitem(catalog.BACKENDS, backend.name, backend)
    return backend.name


def checked(model, backend="onnxruntime", **options):
    return check(model, backends=[backend], data=DIGITS / "heldout.npz", samples=SAMPLES, **options)


def test_a_quantized_model_is_known_by_its_operators(quantized):
    assert is_quantized(load(quantized / "int8.onnx"))
    assert not is_quantized(load(quantized / "float.onnx"))
    inside = "g (float[N] x) => (float[N] y) { y = local.f (x) }"
    function = """<opset_import: ["": 21], domain: "local"> f (x) => (y) {
        q, s, z = DynamicQuantizeLinear (x)
        y = DequantizeLinear (q, s, z)
    }"""
    assert is_quantized(load(parsed(inside, function)))


def test_the_step_of_an_output_is_its_scale(quantized):
    assert output_steps(load(quantized / "int8.onnx")) == {"probabilities": pytest.approx(1 / 255, rel=0.01)}
    assert output_steps(load(quantized / "float.onnx")) == {}


def test_the_fused_kernels_of_onnxruntime_are_right(quantized):
    report = checked(quantized / "int8.onnx")
    assert (report.verdict, report.backends[0].unoptimized, report.backends[0].reason) == ("pass", "pass", "")


def test_a_mismatch_of_fused_kernels_is_explained_and_stays_one(quantized, rounds_up):
    report = checked(quantized / "int8.onnx", rounds_up)
    (backend,) = report.backends
    comparison = backend.outputs[0].comparison
    assert comparison.noise_ratio > 1e4, "the bare number that nobody can read"
    assert (report.verdict, backend.status, backend.unoptimized) == ("mismatch", "mismatch", "pass")
    assert backend.reason.endswith(
        "the quantized model agrees with the unoptimized runtime; its fused int8 kernels differ by one step "
        f"in {comparison.wrong} elements"
    )
    assert report.remarks == ["the model is quantized, and held against its own graph in float64"]
    assert backend.flips == 0


def test_a_gate_decides_instead(quantized, rounds_up):
    report = checked(quantized / "int8.onnx", rounds_up, max_flips=0, max_accuracy_drop=0)
    (backend,) = report.backends
    assert (report.verdict, backend.status, backend.gate) == ("pass", "pass", "met")
    assert backend.reason.startswith(
        "the gate is met, though numbers differ beyond rounding: output 'probabilities'"
    )
    assert "fused int8 kernels differ by one step" in backend.reason


def test_against_the_original_numbers_differ_by_design(quantized):
    reference = quantized / "float.onnx"
    report = checked(quantized / "int8.onnx", reference=reference)
    (backend,) = report.backends
    assert (report.verdict, backend.unoptimized) == ("mismatch", "mismatch")
    assert "quantization moves numbers away from those of the reference: --max-flips" in backend.reason
    report = checked(quantized / "int8.onnx", reference=reference, max_flips="1%")
    assert report.verdict == "pass"
    assert report.backends[0].reason.endswith("away from those of the reference")


def test_other_models_have_no_second_session():
    report = check(conv_lrn(), backends=["onnxruntime"])
    assert report.backends[0].unoptimized is None
    assert report.remarks == []


def test_a_quantized_model_that_passes_says_so():
    quantizes = """g (float[N] x) => (float[N] y) {
        scale = Constant <value_float = 0.5> ()
        q = QuantizeLinear (x, scale)
        y = DequantizeLinear (q, scale)
    }"""
    report = check(parsed(quantizes), backends=["onnxruntime"], data={"x": np.float32([1, 2.5, 3.25])})
    (backend,) = report.backends
    assert (report.verdict, backend.unoptimized, backend.reason) == ("pass", "pass", "")
