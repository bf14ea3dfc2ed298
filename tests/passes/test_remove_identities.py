"""Identity and inference Dropout go, unless a name or a mask would be lost."""

import pytest
from onnx import TensorProto, helper

import normdeploy as nd
from normdeploy.graph.io import load
from normdeploy.passes.constants import Constants
from normdeploy.passes.remove_identities import dropout_is_identity
from tests.builders import FLOAT, Graph
from tests.equivalence import operators, optimized


def test_identities_and_dropout_go():
    g = Graph()
    y = g.node("Identity", g.node("Dropout", g.node("Identity", g.node("Relu", g.input("x", 2, 3)))))
    result = optimized(g.model(y)).model
    assert operators(result) == {"Relu": 1}
    assert result.graph.node[0].output == [y]


def test_an_identity_of_another_output_stays():
    g = Graph()
    y = g.node("Relu", g.input("x", 2, 3))
    assert operators(optimized(g.model(y, g.node("Identity", y))).model) == {"Relu": 1, "Identity": 1}


def test_an_identity_of_an_input_or_a_constant_stays():
    g = Graph()
    a, b = g.node("Identity", g.input("x", 2, 3)), g.node("Identity", g.normal(2, 3))
    result = optimized(g.model(a, b)).model
    assert [item.name for item in result.graph.output] == [a, b]


def test_a_branch_that_passes_on_a_tensor_from_outside_stays():
    g = Graph()
    y = g.node("Relu", g.input("x", 2, 3))
    branches = {}
    for name in ("then_branch", "else_branch"):
        info = [helper.make_tensor_value_info(name, FLOAT, [2, 3])]
        op = "Identity" if name == "then_branch" else "Neg"
        branches[name] = helper.make_graph([helper.make_node(op, [y], [name])], name, [], info)
    z = g.node("If", g.input("c", element=TensorProto.BOOL), **branches)
    result = optimized(g.model(z)).model
    assert [node.op_type for node in result.graph.node[1].attribute[0].g.node] == ["Identity"] or [
        node.op_type for node in result.graph.node[1].attribute[1].g.node
    ] == ["Identity"]


def test_dropout_in_training_mode_stays():
    g = Graph()
    y = g.node("Dropout", g.input("x", 2, 3), g.weight(0.5), g.weight(True, bool))
    result = nd.optimize(g.model(y), verify=False)
    assert operators(result.model) == {"Dropout": 1}


def test_dropout_whose_mask_is_an_output_stays():
    g = Graph()
    y = g.node("Dropout", g.input("x", 2, 3), outputs=2)
    model = g.model(g.node("Relu", y))
    model.graph.output.append(helper.make_tensor_value_info("dropout_1_out1", TensorProto.BOOL, [2, 3]))
    assert operators(nd.optimize(model).model) == {"Dropout": 1, "Relu": 1}


@pytest.mark.parametrize(
    ("opset", "training", "attributes", "expected"),
    [
        (6, None, {}, False),
        (6, None, {"is_test": 1}, True),
        (7, None, {}, True),
        (12, None, {}, True),
        (17, False, {}, True),
        (17, True, {}, False),
        (17, "input", {}, False),
    ],
)
def test_when_dropout_is_the_identity(opset, training, attributes, expected):
    g = Graph(opset=opset)
    inputs = [g.input("x", 2, 3)]
    if training is not None:
        inputs.append(g.weight(0.5))
        is_input = training == "input"
        inputs.append(g.input("t", element=TensorProto.BOOL) if is_input else g.weight(training, bool))
    loaded = load(g.model(g.node("Dropout", *inputs, **attributes)))
    assert dropout_is_identity(loaded.graph[0], Constants(loaded), opset) is expected
