"""The bodies of a model: their order, their places in words, their opsets."""

import onnx
import onnx_ir as ir
from onnx import helper

from normdeploy.graph.io import load
from normdeploy.graph.scopes import located_nodes, node_name, scopes, subgraphs
from tests.builders import FLOAT, model, unary

OUTER = "If 'outer' then_branch"
ORDER = [
    ("first", ""),
    ("outer", ""),
    ("other", "If 'outer' else_branch"),
    ("inner", OUTER),
    ("deep_else", f"{OUTER}, If 'inner' else_branch"),
    ("deep_then", f"{OUTER}, If 'inner' then_branch"),
    ("after", OUTER),
    ("last", ""),
    ("body_if", "function own.Twice"),
    ("body_else", "function own.Twice, If 'body_if' else_branch"),
    ("body_then", "function own.Twice, If 'body_if' then_branch"),
]
"""Each node with its place; a subgraph's nodes follow the node that holds it. The helper sorts attributes."""


def graph_of(name: str, *nodes: onnx.NodeProto) -> onnx.GraphProto:
    result = helper.make_tensor_value_info(nodes[-1].output[0], FLOAT, [2])
    return helper.make_graph(nodes, name, [], [result])


def negate(name: str, source: str = "x") -> onnx.NodeProto:
    return helper.make_node("Neg", [source], [f"{name}_out"], name=name)


def branching() -> ir.Model:
    """Ifs inside an If and inside a function."""
    inner = helper.make_node(
        "If",
        ["flag"],
        ["inner_out"],
        name="inner",
        then_branch=graph_of("t", negate("deep_then")),
        else_branch=graph_of("e", negate("deep_else")),
    )
    outer = helper.make_node(
        "If",
        ["flag"],
        ["outer_out"],
        name="outer",
        then_branch=graph_of("t", inner, negate("after", "inner_out")),
        else_branch=graph_of("e", negate("other")),
    )
    body_if = helper.make_node(
        "If",
        ["f"],
        ["b"],
        name="body_if",
        then_branch=graph_of("t", negate("body_then", "a")),
        else_branch=graph_of("e", negate("body_else", "a")),
    )
    last = helper.make_node("Twice", ["outer_out", "flag"], ["y"], name="last", domain="own")
    proto = model(
        [negate("first"), outer, last],
        {"x": (FLOAT, [2]), "flag": (onnx.TensorProto.BOOL, [])},
        {"y": (FLOAT, [2])},
    )
    proto.opset_import.add(domain="own", version=1)
    opsets = [helper.make_opsetid("", 16)]
    proto.functions.append(helper.make_function("own", "Twice", ["a", "f"], ["b"], [body_if], opsets))
    return load(proto)


def test_located_nodes_come_where_they_stand():
    assert [(node.name, where) for node, where in located_nodes(branching())] == ORDER


def test_scopes_are_the_same_places_from_the_outside_in():
    found = scopes(branching())
    assert [scope.where for scope in found] == list(dict.fromkeys(where for _, where in ORDER))
    for scope in found:
        assert [node.name for node in scope.graph] == [name for name, where in ORDER if where == scope.where]


def test_a_function_has_its_own_opset_and_its_subgraphs_share_it():
    assert [scope.opset for scope in scopes(branching())] == [17] * 5 + [16] * 3


def test_the_editor_of_a_subgraph_knows_the_names_around_it():
    found = {scope.where: scope for scope in scopes(branching())}
    assert found[OUTER].editor.unique("first_out") == "first_out_1"
    assert found[""].editor.unique("first_out") == "first_out_2"
    assert found["function own.Twice"].editor.unique("first_out") == "first_out"


def test_subgraphs_by_attribute():
    first, outer, last = branching().graph
    assert [name for name, _ in subgraphs(outer)] == ["else_branch", "then_branch"]
    assert [list(subgraphs(node)) for node in (first, last)] == [[], []]


def test_a_list_of_graphs_counts_as_well():
    graphs = [ir.Graph([], [], nodes=[], name=name) for name in "ab"]
    node = ir.node("Own", [], {"bodies": ir.AttrGraphs("bodies", graphs)}, domain="own")
    assert [(name, graph.name) for name, graph in subgraphs(node)] == [("bodies", "a"), ("bodies", "b")]


def test_an_attribute_of_the_caller_holds_no_subgraph_here():
    reference = ir.RefAttr("body", "given", ir.AttributeType.GRAPH)
    assert not list(subgraphs(ir.node("Own", [], {"body": reference}, domain="own")))


def test_nodes_without_a_name_go_by_their_first_result():
    node = ir.node("Relu", [], num_outputs=2)
    assert node_name(node) == "Relu"
    node.outputs[1].name = "second"
    assert node_name(node) == "second"
    node.outputs[0].name = "first"
    assert node_name(node) == "first"
    node.name = "own"
    assert node_name(node) == "own"


def test_a_model_that_imports_the_standard_operators_by_their_long_name():
    proto = unary("Relu", [2])
    proto.opset_import[0].domain = "ai.onnx"
    (scope,) = scopes(load(proto))
    assert scope.opset == 17


def test_nodes_of_the_long_name_are_standard():
    assert ir.node("Relu", [], domain="ai.onnx").domain == ""
