"""Chains of maps fold or merge, in every body, and each BatchNormalization is accounted for."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.builders import BN, FLOAT, Graph
from tests.equivalence import assert_same, operators, optimized, random_inputs, run_in_onnxruntime


def behind_concat(follow) -> onnx.ModelProto:
    """Relu and Concat, which take nothing up, then what `follow` adds, then a Relu."""
    g = Graph()
    x = g.input("x", "N", 2, 4, 4)
    y = g.node("Concat", x, g.node("Relu", x), axis=1)
    return g.model(g.node("Relu", follow(g, y)))


def test_scale_merges_into_the_batchnorm_that_stays():
    def follow(g, y):
        y = g.node("Mul", g.bn(y, 4), g.normal(4, 1, 1))
        return g.node("Add", y, g.normal(4, 1, 1))

    result = optimized(behind_concat(follow))
    assert operators(result.model) == {"Relu": 2, "Concat": 1, BN: 1}
    (record,) = result.report.batchnorm
    assert record.status == "kept"
    assert re.match("a branch of Concat .* cannot take it up", record.reason)


def test_scale_before_merges_into_the_batchnorm_that_stays():
    def follow(g, y):
        y = g.node("Sub", y, g.normal(4, 1, 1))
        return g.bn(g.node("Div", y, g.normal(4, 1, 1)), 4)

    result = optimized(behind_concat(follow))
    assert operators(result.model) == {"Relu": 2, "Concat": 1, BN: 1}


def test_batchnorms_in_a_row_become_the_first_one():
    result = optimized(behind_concat(lambda g, y: g.bn(g.bn(g.bn(y, 4), 4), 4)))
    assert operators(result.model)[BN] == 1
    assert [record.status for record in result.report.batchnorm] == ["kept", "folded", "folded"]
    assert {record.into for record in result.report.batchnorm[1:]} == {result.report.batchnorm[0].node}


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_merging_keeps_the_type_of_each_parameter(dtype):
    g = Graph(dtype, stat_dtype=np.float32)
    y = g.node("Relu", g.input("x", 2, 3, 8, 8))
    result = optimized(g.model(g.node("Relu", g.node("Mul", g.bn(y, 3), g.normal(3, 1, 1)))))
    assert operators(result.model) == {"Relu": 2, BN: 1}


def test_what_merged_can_then_fold():
    g = Graph()
    y = g.bn(g.input("x", "N", 3, 8, 8), 3)
    y = g.node("Mul", y, g.normal(3, 1, 1))
    result = optimized(g.model(g.conv(y, 3, 4)))
    assert operators(result.model) == {"Conv": 1}


def test_arithmetic_alone_is_not_turned_into_something_else():
    g = Graph()
    y = g.node("Relu", g.input("x", "N", 3, 8, 8))
    y = g.node("Add", g.node("Mul", y, g.normal(3, 1, 1)), g.normal(3, 1, 1))
    result = optimized(g.model(g.node("Relu", y)))
    assert operators(result.model) == {"Relu": 2, "Mul": 1, "Add": 1}


def test_one_that_nothing_uses_is_reported_too():
    g = Graph()
    y = g.node("Relu", g.input("x", "N", 3, 8, 8))
    g.bn(y, 3)
    result = optimized(g.model(y))
    (record,) = result.report.batchnorm
    assert (record.status, record.into, record.reason) == (
        "folded",
        "",
        "nothing uses it, or another node computes the same",
    )


def test_two_that_are_the_same_fold_as_one():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 4)
    shared = g.statistics(4)
    a, b = g.node("Relu", g.node(BN, y, *shared)), g.node("Neg", g.node(BN, y, *shared))
    result = optimized(g.model(a, b))
    assert operators(result.model) == {"Conv": 1, "Relu": 1, "Neg": 1}
    assert {record.status for record in result.report.batchnorm} == {"folded"}


def branch(name: str, output: str, seed: int) -> onnx.GraphProto:
    g = Graph(seed=seed)
    y = g.bn(g.conv("x", 3, 4), 4)
    nodes = g.nodes
    nodes[-1].output[0] = output
    for node in nodes:
        node.name = f"{name}_{node.name}"
        for index, item in enumerate(node.output):
            node.output[index] = item if item == output else f"{name}_{item}"
        for index, item in enumerate(node.input):
            node.input[index] = item if item == "x" else f"{name}_{item}"
    assert y
    return helper.make_graph(
        nodes,
        name,
        [],
        [helper.make_tensor_value_info(output, FLOAT, ["N", 4, 6, 6])],
        [numpy_helper.from_array(array, f"{name}_{key}") for key, array in g.weights.items()],
    )


def test_inside_the_branches_of_an_if():
    g = Graph()
    g.input("x", "N", 3, 8, 8)
    condition = g.input("c", element=TensorProto.BOOL)
    y = g.node("If", condition, then_branch=branch("a", "ya", 1), else_branch=branch("b", "yb", 2))
    model = g.model(y)
    result = optimized(model)
    assert_same(model, result.model, {**random_inputs(model), "c": np.asarray(True)})
    assert_same(model, result.model, {**random_inputs(model), "c": np.asarray(False)})
    for attribute in result.model.graph.node[0].attribute:
        assert [node.op_type for node in attribute.g.node] == ["Conv"]
    assert {record.where for record in result.report.batchnorm} == {
        "If 'if_1' then_branch",
        "If 'if_1' else_branch",
    }
    run_in_onnxruntime(result.model, {**random_inputs(model), "c": np.asarray(True)})


def test_inside_a_loop():
    g = Graph()
    x = g.input("x", "N", 4, 8, 8)
    inner = Graph(seed=5)
    inner.bn(inner.conv("v", 4, 4, pads=[1] * 4), 4)
    inner.nodes[-1].output[0] = "v_out"
    inner.nodes.append(helper.make_node("Identity", ["cond"], ["cond_out"]))
    shape = ["N", 4, 8, 8]
    body = helper.make_graph(
        inner.nodes,
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("cond_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", FLOAT, shape),
        ],
        [numpy_helper.from_array(array, key) for key, array in inner.weights.items()],
    )
    result = optimized(g.model(g.node("Loop", g.weight(2, np.int64, "trips"), "", x, body=body)))
    (record,) = result.report.batchnorm
    assert (record.status, record.where) == ("folded", "Loop 'loop_1' body")


def function(domain: str = "local", with_attribute: bool = False) -> onnx.FunctionProto:
    g = Graph(seed=3)
    weights = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in (
            ("w", g.random.standard_normal((4, 3, 3, 3)).astype(np.float32)),
            *((name, g.random.uniform(0.5, 1, 4).astype(np.float32)) for name in "sbmv"),
        )
    ]
    bn = helper.make_node(BN, ["c", *"sbmv"], ["y"], name="bn")
    if with_attribute:
        bn.attribute.append(
            onnx.AttributeProto(name="epsilon", ref_attr_name="eps", type=onnx.AttributeProto.FLOAT)
        )
    nodes = [*weights, helper.make_node("Conv", ["x", "w"], ["c"], name="conv"), bn]
    attributes = ["eps"] if with_attribute else []
    return helper.make_function(
        domain, "Block", ["x"], ["y"], nodes, [helper.make_opsetid("", 17)], attributes
    )


def test_inside_a_function_that_is_called_twice():
    g = Graph()
    g.functions.append(function())
    a = g.node("Block", g.input("x", "N", 3, 8, 8), domain="local")
    b = g.node("Block", g.input("z", "N", 3, 8, 8), domain="local")
    model = g.model(a, b)
    result = optimized(model)
    (body,) = result.model.functions
    assert [node.op_type for node in body.node if node.op_type != "Constant"] == ["Conv"]
    assert result.report.batchnorm[0].where == "function local.Block"
    inputs = random_inputs(model)
    for before, after in zip(
        run_in_onnxruntime(model, inputs), run_in_onnxruntime(result.model, inputs), strict=True
    ):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_a_function_whose_caller_gives_epsilon_keeps_it():
    g = Graph()
    g.functions.append(function(with_attribute=True))
    y = g.node("Block", g.input("x", "N", 3, 8, 8), domain="local", eps=0.5)
    result = optimized(g.model(y))
    assert result.report.batchnorm[0].reason == "its attribute 'epsilon' is given by the function's caller"


def test_there_are_more_than_forty_graphs():
    """Those of this folder that fold whole, or keep one BatchNormalization for a reason."""
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert sum(len(re.findall(r"^    assert_(?:folded|kept)\(", text, re.MULTILINE)) for text in sources) > 40
