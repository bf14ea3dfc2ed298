"""What an interpreter knows of a graph's tensors, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.passes.constants import Constants
from normdeploy.passes.lrn import interpreter as module
from normdeploy.passes.lrn.interpreter import Blocked, Interpreter, Power, sources
from normdeploy.passes.lrn.window_sums import WindowSums
from tests.builders import FLOAT, Graph, model
from tests.passes.lrn.formulas import RULES, interpreted


def of(proto: onnx.ModelProto, root: str = "x") -> tuple[Interpreter, dict[str, ir.Value]]:
    """An interpreter of a model's tensors in terms of one, and all of them by name."""
    loaded = load(proto)
    infer(loaded)
    graph = loaded.graph
    values = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
    named = {str(value.name): value for value in values}
    return Interpreter(named[root], Constants(loaded), RULES), named


def test_the_root_is_itself():
    g = Graph()
    x = g.input("x", 2, 3, 4)
    interpreter, values = of(g.model(g.node("Relu", x)))
    assert interpreter.formula(values["x"]) == WindowSums.root((2, 3, 4))
    assert interpreter.formula(None) is None


def test_dimensions_without_a_name_get_one():
    g = Graph()
    x = g.input("x", "N", None, 4)
    interpreter, _ = of(g.model(g.node("Relu", x)))
    assert interpreter.shape == ("N", "dimension 1 of x", 4)


def test_what_has_no_formula():
    g = Graph()
    x, other = g.input("x", 2, 3), g.input("z", 2, 3)
    known = g.node("Mul", x, x)
    unknown = {
        "an input": other,
        "a constant": g.node("Add", g.normal(3), g.normal(3)),
        "an operator without a rule": g.node("Relu", x),
        "what is behind it": g.node("Neg", g.node("Relu", known)),
        "of another tensor": g.node("Mul", other, other),
        "of another domain": g.node("Mul", x, x, domain="own"),
    }
    body = helper.make_node("Add", ["a", "b"], ["c"])
    opsets = [helper.make_opsetid("", 17)]
    g.functions.append(helper.make_function("own", "Mul", ["a", "b"], ["c"], [body], opsets))
    interpreter, values = of(g.model(known, *unknown.values()))
    assert interpreter.formula(values[known]) is not None
    assert {what: interpreter.formula(values[name]) for what, name in unknown.items()} == dict.fromkeys(
        unknown
    )


def test_a_known_value_computes_numbers_of_the_root_and_its_shape_does_not():
    g = Graph()
    x = g.input("x", 2, 3)
    square, shape, relu = g.node("Mul", x, x), g.node("Shape", x), g.node("Relu", x)
    interpreter, values = of(g.model(square, shape, relu))
    for name in (square, shape, relu):
        interpreter.formula(values[name])
    assert [interpreter.computes(values[name]) for name in (x, square, shape, relu)] == [
        True,
        True,
        False,
        False,
    ]


def dilated(square: bool) -> onnx.ModelProto:
    g = Graph()
    x = g.input("x", 2, 3, 9, 9)
    y = g.node("Mul", x, x) if square else x
    y = g.node("Conv", y, g.weight(np.ones((3, 1, 3, 3))), group=3, dilations=[2, 2])
    return g.model(g.node("Sqrt", y))


def test_squares_where_no_lrn_has_them_are_blocked_with_the_reason():
    formula = interpreted(dilated(square=True), "sqrt_3_out")
    assert formula == Blocked("Conv 'conv_2': it has dilations [2, 2]")


def test_x_itself_where_no_lrn_has_it_is_only_unknown():
    assert interpreted(dilated(square=False), "sqrt_2_out") is None


def test_an_interpreter_gives_up_in_large_graphs(monkeypatch):
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Neg", x)
    for _ in range(30):
        y = g.node("Add", y, g.node("Neg", x))
    assert interpreted(g.model(y), y) == WindowSums.root((2, 3)).scaled(-31)
    monkeypatch.setattr(module, "LARGEST", 20)
    assert interpreted(g.model(y), y) is None


@pytest.mark.parametrize(
    ("array", "shape", "expected"),
    [
        (np.full((1, 6, 1, 1), 2.0), (2, 6, 5, 7), 2.0),
        (np.array(2.0), (2, 6, 5, 7), 2.0),
        (np.full(7, 2.0), (2, 6, "H", 7), 2.0),
        (np.array([[2.0]]), ("N", "C"), 2.0),
        (np.array([1.0, 2.0]), (2, 2), None),
        (np.full((6, 1, 1), 2.0), (2, 1, 5, 7), None),
        (np.full((1, 1, 1), 2.0), (5, 7), None),
        (np.full(3, 2.0), ("N", "C"), None),
        (np.zeros(0), (2, 0), None),
    ],
)
def test_uniform_constants(array, shape, expected):
    """Of one number, that make a tensor of the shape no larger."""
    g = Graph()
    x = g.input("x", 2)
    name = g.weight(array)
    interpreter, values = of(g.model(g.node("Relu", x), name))
    assert interpreter.uniform(values[name], shape) == expected
    assert interpreter.uniform(values["x"], shape) is None
    assert interpreter.uniform(None, shape) is None


def test_lists_of_integers_are_inputs_or_attributes():
    g = Graph(opset=13)
    x = g.input("x", 2, 3)
    squeezed = g.node("Unsqueeze", x, g.weight([0, 2], np.int64))
    interpreter, values = of(g.model(squeezed))
    node = values[squeezed].producer()
    assert node is not None
    assert interpreter.integers(node, 1, "axes") == [0, 2]
    assert interpreter.integers(node, 2, "axes") is None
    old = ir.node("Unsqueeze", [values["x"]], {"axes": [0, 2]})
    assert interpreter.integers(old, 1, "axes") == [0, 2]
    assert interpreter.integers(ir.node("Squeeze", [values["x"], values["x"]]), 1, "axes") is None


def test_sources_of_an_if_are_the_results_of_its_branches():
    branches = {
        name: helper.make_graph(
            [helper.make_node("Neg", ["x"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, FLOAT, [2])],
        )
        for name in ("then_branch", "else_branch")
    }
    node = helper.make_node("If", ["c"], ["y"], **branches)
    ends = {"x": (FLOAT, [2]), "c": (onnx.TensorProto.BOOL, [])}, {"y": (FLOAT, [2])}
    (found,) = load(model([node], *ends)).graph
    assert [value.name for value in sources(found)] == ["c", "then_branch", "else_branch"]


def test_formulas_are_computed_once():
    """A square that is read twice: exponentially many walks otherwise."""
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Mul", x, x)
    for _ in range(60):
        y = g.node("Add", y, y)
    formula = interpreted(g.model(y), y)
    assert isinstance(formula, WindowSums)
    assert formula.terms[0].coefficient == 2.0**60


def test_a_power_has_the_axes_of_its_numerator():
    g = Graph()
    x = g.input("x", 2, 3, 4)
    t = g.node("Transpose", x, perm=[0, 2, 1])
    base = g.node("Add", g.node("Mul", t, t), g.weight(1.0))
    formula = interpreted(g.model(g.node("Div", t, base)), "div_4_out")
    assert isinstance(formula, Power)
    assert formula.numerator == ((0,), (2,), (1,))
    assert (formula.factor, formula.exponent) == (1, -1)
