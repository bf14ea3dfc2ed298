"""Which tensors suffice to compute what lies behind nodes."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.kernels import CHOICES, MadeFor
from normdeploy.reference import Evaluator
from normdeploy.validation.kernels.parts import Kept, Parts
from normdeploy.validation.kernels.plan import Plan
from tests.builders import Graph, parsed

BY_NAME = {choice.name: choice for choice in CHOICES}


def branching():
    """conv -> relu -> lrn, and relu + lrn -> softmax."""
    graph = Graph(np.float16)
    relu = graph.node("Relu", graph.node("Conv", graph.input("x", "N", 2, 3, 3), graph.normal(4, 2, 1, 1)))
    sum_ = graph.node("Add", relu, graph.node("LRN", relu, size=3))
    return inferred(graph.model(graph.node("Softmax", sum_, axis=1), relu))


def by_type(model):
    return {node.op_type: node for node in model.graph}


@pytest.mark.parametrize(
    ("first", "known"),
    [
        ("Conv", set()),
        ("LRN", {"relu_2_out"}),
        ("Add", {"relu_2_out", "lrn_3_out"}),
        ("Softmax", {"add_4_out", "relu_2_out"}),
    ],
)
def test_what_nodes_read_and_outputs_before_them_are_known(first, known):
    model = branching()
    assert Parts(model.graph).borders([by_type(model)[first]]) == known


def test_a_graph_inside_a_node_reads_too():
    model = inferred(
        parsed(
            "g (float[2] x, bool c) => (float[2] y) { s = Sin (x) e = Exp (x) y = If (c) <"
            "then_branch = t () => (float[2] a) { a = Add (s, s) },"
            "else_branch = f () => (float[2] b) { b = Neg (e) }> }"
        )
    )
    assert Parts(model.graph).borders([by_type(model)["If"]]) == {"s", "e"}
    assert Parts(model.graph).borders([by_type(model)["Exp"]]) == {"s"}


def test_choices_are_made_for_operators_of_their_types():
    model = branching()
    nodes = by_type(model)
    half = MadeFor(BY_NAME["half-lrn"], frozenset(("LRN",)))
    assert Parts(model.graph).made_for([half]) == {nodes["LRN"]}
    tf32 = MadeFor(BY_NAME["tf32"], BY_NAME["tf32"].operators)
    assert not Parts(model.graph).made_for([tf32])
    flush = MadeFor(BY_NAME["flush-to-zero"])
    assert Parts(model.graph).made_for([half, flush]) == set(nodes.values())


def test_kept_tensors_give_the_same_outputs():
    model = branching()
    evaluator = Evaluator(model)
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 3)).astype(np.float16)
    kept = Kept(frozenset(("relu_2_out", "lrn_3_out")))
    right = evaluator.run({"x": x}, on_node=kept.on_node)
    given = kept.of(frozenset(("relu_2_out", "lrn_3_out")))
    seen = []
    again = evaluator.run({"x": x}, on_node=lambda node, _: seen.append(node.op_type), given=given)
    assert all(np.array_equal(again[name], right[name]) for name in right)
    assert seen == ["Add", "Softmax"]


def test_a_tensor_that_was_not_seen_gives_nothing():
    assert Kept(frozenset("a"), {"a": np.zeros(1)}).of(frozenset("ab")) == {}


def test_a_choice_inside_a_function_needs_the_whole_graph():
    text = (
        "g (float16[1, 4, 2, 2] x) => (float16[1, 4, 2, 2] y) { s = LRN <size = 3> (x) y = local.Inner (s) }"
    )
    model = inferred(
        parsed(text, '<domain: "local", opset_import: ["": 21]> Inner (a) => (b) { b = LRN <size = 3> (a) }')
    )
    plan = Plan(model.graph, ["tensorrt"])
    made = (MadeFor(BY_NAME["half-softmax"], frozenset(("LRN",))),)
    outer, inner = model.graph.node(0), next(iter(next(iter(model.functions.values()))))
    plan.concerned.nodes[BY_NAME["half-softmax"]].add(inner)
    assert plan.borders(made) == frozenset()
    plan.concerned.nodes[BY_NAME["half-softmax"]] = {outer}
    assert plan.behind([model.graph.node(1)]) == {"s"}


def test_what_one_backend_does_at_once_covers_what_others_do():
    model = branching()
    plan = Plan(model.graph, ["onnxruntime", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx"])
    nodes = by_type(model)
    for name, op_type in (("half-lrn", "LRN"), ("half-softmax", "Softmax"), ("float16-accumulators", "Conv")):
        plan.concerned.nodes[BY_NAME[name]].add(nodes[op_type])
    plan.concerned.operators.update(nodes)
    assert [len(plan.of(backend)) for backend in plan.backends] == [1, 1, 3, 3]
    assert plan.together == [plan.of("tensorrt")]
    assert len(plan.singles) == 3
    assert plan.wanted == {"relu_2_out", "add_4_out"}
