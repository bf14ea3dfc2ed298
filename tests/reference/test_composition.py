"""Bodies that stand for fused operators: inputs, attributes, types and errors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator, evaluate
from normdeploy.reference.composition import OPSET, BodyWriter, composition, marked_compositions
from normdeploy.reference.execution_plan import ExecutionPlan, Planner
from normdeploy.reference.registry import COMPOSITIONS, OPERATORS
from normdeploy.reference.rounding import RandomRounding
from tests.builders import parsed
from tests.reference.against_onnxruntime import schema_defaults, schemas


@composition("Scaled", domain="com.acme")
@composition("Twice", domain="com.acme")
def scaled(write: BodyWriter, x, bias=None, *, factor: float = 2.0, n_outputs: int = 1):
    y = write("Mul", x, write.constant(factor))
    y = y if bias is None else write("Add", y, bias)
    return [y, write("Neg", y)] if n_outputs > 1 else y


def node(*inputs, outputs=1, **attributes):
    half = ir.TensorType(ir.DataType.FLOAT16)
    values = [None if name is None else ir.Value(name=name, type=half) for name in inputs]
    made = ir.node("Scaled", values, attributes, domain="com.acme", num_outputs=outputs, name="it")
    for value in made.outputs:
        value.type = half
    return made


def test_a_function_composes_all_that_it_is_marked_as():
    first, second = marked_compositions(scaled)
    assert {first.op_type, second.op_type} == {"Scaled", "Twice"}
    assert first.attributes == {"factor"}
    assert first.takes_n_outputs


def test_a_body_has_the_nodes_inputs_and_its_outputs_types():
    made = marked_compositions(scaled)[0]
    body = made.body(node("x", None, factor=3.0))
    assert [item.op_type for item in body] == ["Constant", "Mul"]
    assert len(body.inputs) == 2
    assert [value.dtype for value in body.outputs] == [ir.DataType.FLOAT16]
    assert body.inputs[0].dtype == ir.DataType.FLOAT16
    assert body.opset_imports[""] == OPSET
    body = made.body(node("x", "b", outputs=2))
    assert [item.op_type for item in body] == ["Constant", "Mul", "Add", "Neg"]
    assert len(body.outputs) == 2
    assert {item.name for item in body} == {"it"}


def test_inputs_that_do_not_fit_are_an_error():
    with pytest.raises(TypeError):
        marked_compositions(scaled)[0].body(node())


def test_a_plan_holds_the_body():
    model = load(
        parsed(
            "g (float[N] x) => (float[N] y) { y = com.microsoft.QuickGelu (x) }",
            opsets='"": 21, "com.microsoft": 1',
        )
    )
    (planned,) = Planner(model).main(list(model.graph.outputs)).nodes
    assert isinstance(planned.computed_by, ExecutionPlan)
    assert [item.node.op_type for item in planned.computed_by.nodes] == ["Constant", "Mul", "Sigmoid", "Mul"]


@pytest.mark.parametrize(("dtype", "roundoff"), [("float", 2.0**-24), ("float16", 2.0**-11)])
def test_the_result_rounds_in_the_type_of_the_node(dtype, roundoff):
    model = parsed(
        f"g ({dtype}[N] x) => ({dtype}[N] y) {{ y = com.microsoft.BiasGelu (x, x) }}",
        opsets='"": 21, "com.microsoft": 1',
    )
    evaluator = Evaluator(inferred(model))
    x = {"x": np.linspace(0.5, 2, 400)}
    exact = evaluator.run(x)["y"]
    runs = [evaluator.run(x, rounding=RandomRounding(seed))["y"] / exact - 1 for seed in range(5)]
    assert 0.9 * roundoff < np.sqrt(np.mean(np.square(runs))) < 20 * roundoff


def test_no_operator_is_computed_in_two_ways():
    assert {key for key in COMPOSITIONS if key in OPERATORS} == {("", "LayerNormalization")}


RUNTIMES_OWN = [key for key in (*COMPOSITIONS, *OPERATORS) if "microsoft" in key[0]]


@pytest.mark.parametrize("key", RUNTIMES_OWN, ids=".".join)
def test_attributes_are_those_that_onnxruntime_knows(key):
    known = (COMPOSITIONS.get(key) or OPERATORS[key][-1]).attributes
    assert known - _PASSED_ON.get(key[1], set()) == schemas()[key]


@pytest.mark.parametrize("key", RUNTIMES_OWN, ids=".".join)
def test_defaults_are_those_that_onnxruntime_knows(key):
    """What its schema leaves open, its kernels tell: test_fused.py runs them without attributes."""
    defaults = (COMPOSITIONS.get(key) or OPERATORS[key][-1]).function.__kwdefaults__
    known = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in schema_defaults()[key].items()
    }
    assert {name: defaults[name] for name in known} == known


_PASSED_ON = {
    "NhwcConv": {"activation", "activation_params"},
    "TransposeMatMul": {"transBatchA", "transBatchB"},
}
"""Attributes that an operator has only because another one is computed alike."""


@pytest.mark.parametrize("item", COMPOSITIONS.values(), ids=lambda item: f"{item.domain}.{item.op_type}")
def test_every_composition_says_what_it_is(item):
    assert item.function.__doc__


def test_a_version_of_an_own_operator_comes_before_a_composition():
    """LayerNormalization is ONNX's from opset 17 on, and a composition below."""
    text = "g (float[2, 3] x, float[3] s) => (float[2, 3] y) { y = LayerNormalization (x, s) }"
    inputs = {"x": np.random.default_rng(0).normal(size=(2, 3)), "s": np.ones(3)}
    results = [evaluate(parsed(text, opsets=f'"": {opset}'), inputs)["y"] for opset in (13, 17)]
    np.testing.assert_array_equal(*results)
