"""Whose fault an unforeseen error is."""

import onnx_ir as ir
import pytest

import normdeploy as nd
from normdeploy import inspection
from normdeploy.errors import ModelError, UsageError
from normdeploy.graph.strict import refused_if_invalid
from normdeploy.passes import pipeline
from normdeploy.validation import checker
from normdeploy.validation.reduction import reducer
from tests.builders import conv_lrn, unary

INVALID = unary("AveragePool", [1, 3, 6, 6], kernel_shape=[3, 3], pads=[1])
"""onnx.checker passes it; there are too few pads."""


def test_an_error_over_a_model_that_is_not_valid_is_the_models():
    with (
        pytest.raises(ModelError, match=r"not a valid ONNX model: .*pads") as raised,
        refused_if_invalid(INVALID),
    ):
        raise IndexError("list index out of range")
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value.__cause__, IndexError)


@pytest.mark.parametrize("models", [[INVALID, conv_lrn()], [conv_lrn(), INVALID]])
def test_one_that_is_not_valid_among_several(models):
    with pytest.raises(ModelError, match=r"not a valid ONNX model: .*pads"), refused_if_invalid(*models):
        raise IndexError("list index out of range")


def test_an_error_over_valid_models_is_ours():
    with pytest.raises(IndexError, match="out of range"), refused_if_invalid(conv_lrn(), conv_lrn()):
        raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("module", "step", "verb", "options"),
    [
        (pipeline, "rewrite", nd.optimize, {}),
        (pipeline, "verify_equal", nd.optimize, {}),
        (inspection, "inventory", nd.inspect, {}),
        (checker, "stream", nd.check, {"backends": ["onnxruntime"]}),
        (checker, "stream", nd.check, {"backends": ["onnxruntime"], "reference": INVALID}),
        (reducer, "failing_sample", nd.reduce, {"output": "small.onnx", "backend": "onnxruntime"}),
    ],
)
def test_every_verb_blames_a_model_that_is_not_valid(module, step, verb, options, monkeypatch, tmp_path):
    """For what it did not foresee, and no other model."""

    def fails(*arguments, **keywords):
        raise IndexError("list index out of range")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, step, fails)
    valid = conv_lrn()
    given = valid if "reference" in options else INVALID
    with pytest.raises(ModelError, match=r"not a valid ONNX model: .*pads"):
        verb(given, **options)
    with pytest.raises(IndexError, match="out of range"):
        verb(valid, **{**options, **({"reference": valid} if "reference" in options else {})})


def test_ours_come_out_as_they_were():
    error = UsageError("no")
    with pytest.raises(UsageError) as raised, refused_if_invalid(INVALID):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("kind", [UsageError, MemoryError])
def test_those_that_a_pass_has_wrapped_come_out_of_it(kind):
    class Fails(ir.passes.InPlacePass):
        def call(self, model):
            raise kind("what it is")

    with pytest.raises(kind, match=r"^what it is$"), refused_if_invalid(INVALID):
        ir.passes.Sequential(Fails())(ir.from_proto(conv_lrn()))
