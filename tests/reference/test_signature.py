"""How a function stands for an operator."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from normdeploy.reference import evaluate
from normdeploy.reference.rounding_model import CORRECTLY_ROUNDED, EXACT
from normdeploy.reference.signature import marked_operators, operator
from tests.reference.against_onnxruntime import in_onnxruntime, single_node


@operator("Twice", since=1, rounding=EXACT)
@operator("Scale", since=3, domain="local", rounding=CORRECTLY_ROUNDED)
def scaled(x, offset=None, *, factor=2.0, n_outputs=1):
    return x * factor


def test_each_mark_is_an_operator():
    found = {item.op_type: item for item in marked_operators(scaled)}
    assert {name: (item.domain, item.since) for name, item in found.items()} == {
        "Twice": ("", 1),
        "Scale": ("local", 3),
    }
    assert found["Twice"].rounding is EXACT
    assert found["Scale"].rounding is CORRECTLY_ROUNDED
    assert all(item.function is scaled for item in found.values())


def test_keyword_only_parameters_are_attributes_except_the_number_of_outputs():
    item = marked_operators(scaled)[0]
    assert item.attributes == {"factor"}
    assert item.takes_n_outputs


def test_a_function_without_the_number_of_outputs_is_not_told_it():
    @operator("Same", since=1, rounding=EXACT)
    def same(x):
        return x

    assert not marked_operators(same)[0].takes_n_outputs


def test_a_function_without_a_mark_is_no_operator():
    assert marked_operators(len) == []


def test_an_operator_without_a_rounding_model_fails_where_it_is_defined():
    with pytest.raises(TypeError, match="rounding"):
        operator("Twice", since=1)


def test_a_default_is_what_a_file_would_hold():
    @operator("Leaky", since=1, rounding=EXACT)
    def leaky(x, *, alpha: float = 0.01, axis: int = 1):
        return alpha, axis

    assert leaky(0) == (float(np.float32(0.01)), 1)


@pytest.mark.parametrize("op_type", ["LayerNormalization", "BatchNormalization", "LeakyRelu"])
def test_defaults_in_float64_are_onnxruntimes(op_type):
    """They differ from the decimal ones by 1e-13 to 1e-10 of the result."""
    x = np.random.default_rng(0).standard_normal((3, 50))
    parameters = {"LayerNormalization": 1, "BatchNormalization": 4}.get(op_type, 0)
    inputs = [x, *([np.linspace(0.5, 2, 50)] * parameters)]
    model, feeds = single_node(op_type, inputs, (TensorProto.DOUBLE,), domain="", rank=2)
    expected = in_onnxruntime(model, feeds)["y0"]
    np.testing.assert_allclose(evaluate(model, feeds)["y0"], expected, rtol=0, atol=2e-15)
