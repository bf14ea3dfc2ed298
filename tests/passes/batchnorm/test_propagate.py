"""Where a map goes: into branches, through additions, to all readers; and where it stops."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import normdeploy as nd
from tests.builders import BN, FLOAT, Graph
from tests.equivalence import optimized
from tests.passes.batchnorm.folding import assert_folded, assert_kept, behind_conv


def test_through_addition_per_position():
    g = Graph()
    y = g.node("Add", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), g.normal(1, 6, 6, 6))
    assert_folded(g.model(g.bn(y, 6)), "Conv Add")


def test_through_subtraction_from_a_constant_per_position():
    g = Graph()
    y = g.node("Sub", g.normal(1, 6, 6, 6), g.conv(g.input("x", "N", 3, 8, 8), 3, 6))
    assert_folded(g.model(g.bn(y, 6)), "Conv Sub")


def test_into_each_branch_of_a_concat():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    pooled = g.node("AveragePool", g.conv(x, 3, 2), kernel_shape=[3, 3], pads=[1] * 4)
    y = g.node("Concat", g.conv(x, 3, 4), pooled, g.conv(x, 3, 5), axis=1)
    assert_folded(g.model(g.bn(y, 11)), "Conv Conv Conv AveragePool Concat")


def test_concat_along_a_negative_axis():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 4), g.conv(x, 3, 5), axis=-3)
    assert_folded(g.model(g.bn(y, 9)), "Conv Conv Concat")


def test_concat_along_another_axis():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 6), g.conv(x, 3, 6), axis=2)
    assert_kept(g.model(g.bn(y, 6)), r"Concat 'concat_3' joins along axis 2, not along the channels")


def test_concat_with_one_branch_that_cannot():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 6), g.node("Relu", x), axis=1)
    g.nodes[1].input[0] = g.node("Slice", x, *[g.weight(item, np.int64) for item in ([0, 0], [6, 6], [2, 3])])
    g.nodes.insert(0, g.nodes.pop())
    assert_kept(
        g.model(g.bn(y, 9)),
        r"a branch of Concat 'concat_3' cannot take it up: Relu 'relu_2' before it cannot take it up",
    )


def test_into_all_readers():
    g = Graph()
    y = g.bn(g.input("x", "N", 3, 8, 8), 3)
    assert_folded(g.model(g.conv(y, 3, 4), g.conv(y, 3, 5)), "Conv Conv")


def test_read_as_a_weight():
    g = Graph()
    y = g.bn(g.input("x", 3, 4), 4)
    assert_kept(g.model(g.node("MatMul", g.input("z", 2, 3), y)), r"reads it as input 1")


def test_input_used_elsewhere():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    assert_kept(
        g.model(g.node("Relu", y), g.bn(y, 6)), r"'conv_1_out' is used elsewhere too: by .*Relu 'relu_2'"
    )


def test_input_is_an_output():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    assert_kept(g.model(y, g.bn(y, 6)), r"'conv_1_out' is an output of the graph")


def test_alone():
    g = Graph()
    assert_kept(
        g.model(g.bn(g.input("x", "N", 3, 8, 8), 3)),
        r"its input 'x' is an input of the graph; its result .* is an output of the graph",
    )


def test_behind_relu():
    assert_kept(
        behind_conv(lambda g, y: g.bn(g.node("Relu", y), 6)),
        r"Relu 'relu_2' before it cannot take it up; its result .* is an output of the graph",
    )


def test_behind_a_custom_operator():
    g = Graph()
    g.functions.append(
        helper.make_function(
            "com.example", "Custom", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
            [helper.make_opsetid("", 17)],
        )
    )  # fmt: skip
    y = g.node("Custom", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), domain="com.example")
    assert_kept(g.model(g.bn(y, 6)), r"com.example.Custom 'custom_2' is not a standard operator")


def test_a_layer_around_the_body_is_not_changed():
    g = Graph()
    outer = g.conv(g.input("x", "N", 3, 8, 8), 3, 4)
    statistics = g.statistics(4)
    condition = g.input("c", element=TensorProto.BOOL)
    info = [helper.make_tensor_value_info("y", FLOAT, ["N", 4, 6, 6])]
    then = helper.make_graph([helper.make_node(BN, [outer, *statistics], ["y"], name="bn")], "t", [], info)
    info = [helper.make_tensor_value_info("z", FLOAT, ["N", 4, 6, 6])]
    other = helper.make_graph([helper.make_node("Relu", [outer], ["z"])], "e", [], info)
    result = optimized(g.model(g.node("If", condition, then_branch=then, else_branch=other)))
    (record,) = result.report.batchnorm
    assert "is computed outside this body, by Conv 'conv_1'" in record.reason


def test_what_reads_the_result_in_another_body_keeps_the_map():
    """Nothing upstream absorbs it either."""
    g = Graph()
    y = g.bn(g.input("x", "N", 3, 8, 8), 3)
    condition = g.input("c", element=TensorProto.BOOL)
    branches = {}
    for name, op_type in (("then_branch", "Relu"), ("else_branch", "Neg")):
        info = [helper.make_tensor_value_info(name, FLOAT, ["N", 3, 8, 8])]
        branches[name] = helper.make_graph([helper.make_node(op_type, [y], [name])], name, [], info)
    assert_kept(
        g.model(g.node("If", condition, **branches)),
        "its result '.*' is read inside the body of another node",
    )


def test_additions_of_old_operator_sets_broadcast_by_other_rules():
    g = Graph(opset=6)
    y = g.node("Add", g.conv(g.input("x", 2, 3, 8, 8), 3, 6), g.normal(6), broadcast=1, axis=1)
    (record,) = nd.optimize(g.model(g.bn(y, 6, is_test=1)), verify=False).report.batchnorm
    assert "Add 'add_2' before it broadcasts by the rules of opset 6" in record.reason


def test_an_addition_of_two_computed_tensors_stops_a_map():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Add", g.conv(x, 3, 6), g.conv(x, 3, 6))
    assert_kept(g.model(g.bn(y, 6)), "Add 'add_3' before it cannot take it up")


def test_an_addition_that_changes_the_rank_stops_a_map():
    g = Graph()
    y = g.node("Add", g.node("Gemm", g.input("x", 2, 5), g.normal(5, 4)), g.normal(3, 1, 4))
    assert_kept(g.model(g.bn(y, 2)), "Add 'add_2' before it gives its input another rank")


def test_an_attribute_of_the_caller_stops_a_map():
    conv = helper.make_node("Conv", ["x", "w"], ["c"], name="conv")
    conv.attribute.append(onnx.AttributeProto(name="group", ref_attr_name="g", type=onnx.AttributeProto.INT))
    values = {"w": np.ones((3, 3, 1, 1), np.float32)} | {name: np.ones(3, np.float32) for name in "sbmv"}
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in values.items()
    ]
    nodes = [*constants, conv, helper.make_node(BN, ["c", *"sbmv"], ["y"], name="bn")]
    g = Graph()
    opsets = [helper.make_opsetid("", 17)]
    g.functions.append(helper.make_function("local", "Block", ["x"], ["y"], nodes, opsets, ["g"]))
    y = g.node("Block", g.input("x", 2, 3, 4, 4), domain="local", g=1)
    (record,) = optimized(g.model(y)).report.batchnorm
    assert "the attribute 'group' of Conv 'conv' comes from a function's caller" in record.reason
