"""Nodes that compute the same become one, and only those."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import normdeploy as nd
from normdeploy.graph.io import load
from normdeploy.passes import merge_duplicates
from normdeploy.passes.merge_duplicates import MergeDuplicates
from tests.builders import FLOAT, Graph
from tests.equivalence import operators, optimized


def test_duplicates_go_but_not_random_ones():
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Add", g.node("Exp", x), g.node("Exp", x))
    assert operators(optimized(g.model(y)).model) == {"Exp": 1, "Add": 1}
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Sub", g.node("Bernoulli", x), g.node("Bernoulli", x))
    assert operators(nd.optimize(g.model(y), verify=False).model)["Bernoulli"] == 2


def merged(*nodes: tuple[str, dict]) -> int:
    """How many of some nodes of one input are left."""
    g = Graph()
    x = g.input("x", 2, 3)
    results = [g.node(op_type, x, **attributes) for op_type, attributes in nodes]
    loaded = load(g.model(*(g.node("Neg", result) for result in results)))
    found = MergeDuplicates()(loaded)
    left = sum(node.op_type == nodes[0][0] for node in loaded.graph)
    assert found.modified == (left < len(nodes))
    return left


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([("Elu", {"alpha": 0.5})] * 3, 1),
        ([("Elu", {"alpha": 0.5}), ("Elu", {"alpha": 0.25})], 2),
        ([("Elu", {"alpha": 1.0}), ("Elu", {})], 2),
        ([("Transpose", {"perm": [1, 0]})] * 2, 1),
        ([("Transpose", {"perm": [1, 0]}), ("Transpose", {"perm": [0, 1]})], 2),
    ],
)
def test_attributes_have_to_be_the_same(nodes, left):
    assert merged(*nodes) == left


@pytest.mark.parametrize(
    ("second", "left"),
    [
        (np.array([0, 1], np.float32), 1),
        (np.array([0, 2], np.float32), 2),
        (np.array([[0, 1]], np.float32), 2),
        (np.array([0, 1], np.float32).view(np.int32), 2),
    ],
    ids=["same", "other number", "other shape", "other type, same bytes"],
)
def test_tensors_in_attributes_have_to_be_the_same(second, left):
    g = Graph()
    for array in (np.array([0, 1], np.float32), second):
        held = g.node("Constant", value=numpy_helper.from_array(array))
        g.node("Cast", held, to=FLOAT)
    loaded = load(g.model(*(node.output[0] for node in g.nodes if node.op_type == "Cast")))
    MergeDuplicates()(loaded)
    assert sum(node.op_type == "Constant" for node in loaded.graph) == left


def test_large_tensors_are_not_compared(monkeypatch):
    def constants() -> int:
        g = Graph()
        value = numpy_helper.from_array(np.ones(8, np.float32))
        results = [g.node("Constant", value=value) for _ in range(2)]
        loaded = load(g.model(*(g.node("Neg", result) for result in results)))
        MergeDuplicates()(loaded)
        return sum(node.op_type == "Constant" for node in loaded.graph)

    assert constants() == 1
    monkeypatch.setattr(merge_duplicates, "_LARGEST", 7)
    assert constants() == 2


def test_a_graph_output_keeps_its_node():
    g = Graph()
    x = g.input("x", 2, 3)
    outputs = [g.node("Exp", x), g.node("Exp", x)]
    assert operators(optimized(g.model(*outputs)).model) == {"Exp": 2}


def test_nodes_that_hold_graphs_stay():
    g = Graph()
    x, c = g.input("x", 2), g.input("c", element=onnx.TensorProto.BOOL)
    results = []
    for number in range(2):
        branches = {}
        for name, op_type in (("then_branch", "Neg"), ("else_branch", "Abs")):
            result = helper.make_tensor_value_info(f"{name}{number}", FLOAT, [2])
            node = helper.make_node(op_type, [x], [f"{name}{number}"])
            branches[name] = helper.make_graph([node], name, [], [result])
        results.append(g.node("Exp", g.node("If", c, **branches)))
    assert operators(optimized(g.model(*results)).model) == {"If": 2, "Exp": 2}


def test_other_inputs_are_other_results():
    g = Graph()
    x, z = g.input("x", 2), g.input("z", 2)
    y = g.node("Concat", g.node("Sub", x, z), g.node("Sub", z, x), g.node("Sub", x, z), axis=0)
    assert operators(optimized(g.model(y)).model) == {"Sub": 2, "Concat": 1}
