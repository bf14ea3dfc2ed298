"""What does not depend on the inputs is computed once, where that costs no space."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.builders import FLOAT, Graph, model
from tests.equivalence import operators, optimized


def test_constants_are_computed_unless_they_grow_or_are_quantized():
    g = Graph()
    x = g.input("x", 4)
    y = g.node("Add", x, g.node("Sqrt", g.weight([1, 4, 9, 16])))
    q = g.node("DequantizeLinear", g.weight([1, 2, 3, 4], np.int8), g.weight(0.5), g.weight(0, np.int8))
    z = g.node("Add", y, q)
    big = g.node("ConstantOfShape", g.weight([100, 1000, 4], np.int64))
    left = operators(optimized(g.model(z, g.node("Add", x, big))).model)
    assert left == {"Add": 3, "DequantizeLinear": 1, "ConstantOfShape": 1}


def test_the_result_has_the_name_of_the_tensor_that_it_stands_for():
    g = Graph()
    rooted = g.node("Sqrt", g.weight([1, 4]))
    result = optimized(g.model(g.node("Add", g.input("x", 2), rooted))).model
    (tensor,) = result.graph.initializer
    assert tensor.name == rooted
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.array([1, 2], np.float32))


def test_only_the_last_of_a_chain_is_stored():
    g = Graph()
    y = g.node("Exp", g.node("Neg", g.node("Abs", g.normal(3))))
    result = optimized(g.model(g.node("Add", g.input("x", 3), y))).model
    assert [tensor.name for tensor in result.graph.initializer] == [y]


def test_a_constant_that_is_an_output_stays_one():
    g = Graph()
    y = g.node("Neg", g.normal(3))
    result = optimized(g.model(y, g.node("Add", g.input("x", 3), y))).model
    assert result.graph.output[0].name == y
    assert operators(result) == {"Add": 1}


def test_a_constant_node_stays_a_node():
    g = Graph()
    held = g.node("Constant", value_floats=[1.0, 2.0])
    assert operators(optimized(g.model(g.node("Add", g.input("x", 2), held))).model)["Constant"] == 1


def test_inside_a_branch_of_an_if():
    """The subgraph gets an initializer of its own."""
    inner = [helper.make_node("Neg", ["w"], ["n"]), helper.make_node("Add", ["x", "n"], ["a"])]
    result = helper.make_tensor_value_info
    then_branch = helper.make_graph(inner, "t", [], [result("a", FLOAT, [2])])
    else_branch = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["b"])], "e", [], [result("b", FLOAT, [2])]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=then_branch, else_branch=else_branch)
    ends = {"x": (FLOAT, [2]), "c": (onnx.TensorProto.BOOL, [])}, {"y": (FLOAT, [2])}
    folded = optimized(model([node], *ends, {"w": np.array([1, 2], np.float32)})).model
    branches = {item.name: item.g for item in folded.graph.node[0].attribute}
    assert [item.op_type for item in branches["then_branch"].node] == ["Add"]
    (tensor,) = branches["then_branch"].initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), [-1, -2])
