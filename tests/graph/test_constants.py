"""Which tensors count as constant: each reason for and against, on small graphs."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.graph.constants import ConstantAnalysis, is_nondeterministic
from normdeploy.graph.io import load
from tests.builders import FLOAT, Graph, model


def names(graph: Graph, *outputs: str, **options) -> set[str]:
    return ConstantAnalysis(load(graph.model(*outputs, **options))).names()


def test_initializers_and_what_nodes_make_of_them_are_constant():
    graph = Graph()
    x = graph.input("x", 3)
    left = graph.node("Mul", graph.normal(3), graph.normal(3))
    right = graph.node("Neg", left)
    both = graph.node("Add", left, right)
    y = graph.node("Add", x, both)
    assert names(graph, y) == {"w0", "w1", left, right, both}


def test_nodes_without_inputs_are_constant():
    graph = Graph()
    constant = graph.node("Constant", value_floats=[1.0, 2.0])
    y = graph.node("Add", graph.input("x", 2), constant)
    assert names(graph, y) == {constant}


def test_an_optional_input_that_is_left_out_does_not_matter():
    graph = Graph()
    clipped = graph.node("Clip", graph.normal(3), "", graph.weight(1.0))
    y = graph.node("Add", graph.input("x", 3), clipped)
    assert clipped in names(graph, y)


@pytest.mark.parametrize(("ir_version", "expected"), [(3, {"w0", "neg_1_out"}), (4, set()), (8, set())])
def test_what_a_caller_may_override_is_not_constant(ir_version, expected):
    graph = Graph(ir_version=ir_version)
    negative = graph.node("Neg", graph.normal(3))
    y = graph.node("Add", graph.input("x", 3), negative)
    assert names(graph, y, weights_as_inputs=True) == expected


@pytest.mark.parametrize("op_type", ["RandomNormal", "RandomUniform"])
def test_a_random_tensor_without_inputs_is_not_constant(op_type):
    graph = Graph()
    noise = graph.node(op_type, shape=[3])
    doubled = graph.node("Add", noise, noise)
    assert names(graph, doubled) == set()


@pytest.mark.parametrize("op_type", ["RandomNormalLike", "RandomUniformLike", "Bernoulli", "Dropout"])
def test_random_results_of_constants_are_not_constant(op_type):
    graph = Graph()
    y = graph.node(op_type, graph.normal(3))
    assert names(graph, y) == {"w0"}


def branch(op_type: str, *inputs: str, **attributes) -> onnx.GraphProto:
    node = helper.make_node(op_type, inputs, ["inner"], **attributes)
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("inner", FLOAT, [2])])


def conditional(then_branch: onnx.GraphProto, else_branch: onnx.GraphProto) -> ir.Model:
    """An If whose condition is constant."""
    node = helper.make_node("If", ["c"], ["y"], then_branch=then_branch, else_branch=else_branch)
    weights = {"c": np.array(True), "w": np.ones(2, np.float32)}
    return load(model([node], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}, weights))


def test_what_a_node_with_subgraphs_makes_is_not_constant():
    constants = ConstantAnalysis(conditional(branch("Neg", "x"), branch("Neg", "w")))
    assert constants.names() == {"c", "w"}


def test_a_tensor_inside_a_subgraph_is_constant_if_what_it_reads_outside_is():
    loaded = conditional(branch("Neg", "x"), branch("Neg", "w"))
    constants = ConstantAnalysis(loaded)
    (node,) = loaded.graph
    found = [
        constants.is_constant(node.attributes[name].as_graph().outputs[0])
        for name in ("then_branch", "else_branch")
    ]
    assert found == [False, True]


def test_what_a_loop_gives_its_body_is_not_constant():
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Neg", ["state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("still", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, [2]),
        ],
    )
    loop = helper.make_node("Loop", ["count", "", "w"], ["y"], body=body)
    weights = {"count": np.array(3), "w": np.ones(2, np.float32)}
    loaded = load(model([loop], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}, weights))
    (node,) = loaded.graph
    inner = node.attributes["body"].as_graph().outputs[1]
    assert not ConstantAnalysis(loaded).is_constant(inner)


def calling(*body: onnx.NodeProto, inputs: tuple[str, ...] = ()) -> ir.Model:
    """y = local.Given(), or local.Given(w)."""
    function = helper.make_function(
        "local", "Given", list(inputs), ["made"], body, [helper.make_opsetid("", 17)], ["size"]
    )
    graph = Graph()
    graph.functions.append(function)
    arguments = [graph.weight([1.0, 2.0]) for _ in inputs]
    return load(graph.model(graph.node("Given", *arguments, domain="local", size=3.0)))


def test_calls_of_functions_with_constants_are_constant():
    loaded = calling(helper.make_node("Neg", ["given"], ["made"]), inputs=("given",))
    assert ConstantAnalysis(loaded).names() == {"w0", "given_1_out"}


def test_calls_of_functions_that_draw_random_numbers_are_not():
    loaded = calling(helper.make_node("RandomNormal", [], ["made"], shape=[3]))
    assert ConstantAnalysis(loaded).names() == set()
    assert is_nondeterministic(loaded.graph, loaded)


def test_in_a_function_neither_inputs_nor_attributes_of_the_caller_are_constant():
    plain = helper.make_node("Constant", [], ["plain"], value_float=1.0)
    given = helper.make_node("Constant", [], ["referred"])
    given.attribute.append(
        onnx.AttributeProto(name="value_float", ref_attr_name="size", type=onnx.AttributeProto.FLOAT)
    )
    added = helper.make_node("Add", ["given", "plain"], ["sum"])
    made = helper.make_node("Add", ["sum", "referred"], ["made"])
    loaded = calling(plain, given, added, made, inputs=("given",))
    (function,) = loaded.functions.values()
    constants = ConstantAnalysis(loaded)
    found = {value.name: constants.is_constant(value) for node in function for value in node.outputs}
    assert found == {"plain": True, "referred": False, "sum": False, "made": False}


def test_randomness_inside_a_branch_is_found():
    loaded = conditional(branch("RandomNormal", shape=[2]), branch("Neg", "w"))
    assert is_nondeterministic(loaded.graph, loaded)
    plain = conditional(branch("Neg", "x"), branch("Neg", "w"))
    assert not is_nondeterministic(plain.graph, plain)


def test_deep_chains_need_no_recursion():
    graph = Graph()
    value = graph.normal(1)
    for _ in range(3000):
        value = graph.node("Neg", value)
    assert value in names(graph, value)
