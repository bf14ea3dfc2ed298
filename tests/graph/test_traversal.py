"""Walks upstream: every node once, after what it needs."""

import onnx_ir as ir

from normdeploy.graph.io import load
from normdeploy.graph.traversal import producers, upstream
from tests.builders import Graph


def nodes_before(node: ir.Node) -> list[ir.Node]:
    return producers(node.inputs)


def test_each_node_comes_after_those_that_it_needs():
    g = Graph()
    x = g.input("x", 2)
    left, right = g.node("Neg", x), g.node("Abs", x)
    both = g.node("Add", left, right)
    g.node("Exp", x)
    y = g.node("Mul", both, left)
    neg, absolute, add, _, mul = load(g.model(y)).graph
    assert upstream(mul, nodes_before) == [neg, absolute, add, mul]
    assert upstream(neg, nodes_before) == [neg]


def test_what_is_left_out_is_not_walked_through():
    g = Graph()
    y = g.node("Exp", g.node("Neg", g.node("Abs", g.input("x", 2))))
    *_, neg, exp = load(g.model(y)).graph
    found = upstream(exp, lambda node: [item for item in nodes_before(node) if item.op_type != "Abs"])
    assert found == [neg, exp]


def test_deep_graphs_and_many_paths_are_walked_once():
    g = Graph()
    y = g.input("x", 2)
    for _ in range(3000):
        y = g.node("Add", y, y)
    nodes = [*load(g.model(y)).graph]
    assert upstream(nodes[-1], nodes_before) == nodes


def test_inputs_and_initializers_have_no_producer():
    g = Graph()
    y = g.node("Clip", g.node("Neg", g.input("x", 2)), "", g.weight(1.0))
    neg, clip = load(g.model(y)).graph
    assert producers(clip.inputs) == [neg]
    assert producers(neg.inputs) == []
