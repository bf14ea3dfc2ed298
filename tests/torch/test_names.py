"""Nodes and axes of an exported graph have the names that their author knows."""

from __future__ import annotations

import onnx_ir as ir
from onnx import helper

from normdeploy.torch.names import name_dimensions, name_nodes_by_module
from tests.builders import FLOAT, model

SCOPES = "pkg.torch.onnx.name_scopes"


def chain(*scopes: list[str] | None) -> ir.Model:
    """x -> Exp -> Exp -> ... -> y, each node in the modules that torch's exporter notes; None for no note."""
    names = ["x", *(f"t{index}" for index in range(1, len(scopes))), "y"]
    nodes = [
        helper.make_node("Exp", [names[index]], [names[index + 1]], f"node_{index}")
        for index in range(len(scopes))
    ]
    graph = ir.from_proto(model(nodes, {"x": (FLOAT, ["s0", 3])}, {"y": (FLOAT, ["s0", 3])}))
    for node, scope in zip(graph.graph, scopes, strict=True):
        if scope is not None:
            node.metadata_props[SCOPES] = str(scope)
    return graph


def named(*scopes: list[str] | None) -> list[str | None]:
    graph = chain(*scopes)
    name_nodes_by_module(graph)
    return [node.name for node in graph.graph]


def test_the_last_node_of_a_module_has_its_path_and_the_others_their_operator() -> None:
    inside = ["", "features", "features.norm1", "exp"]
    assert named(inside, inside, inside) == [
        "features.norm1/Exp",
        "features.norm1/Exp_1",
        "features.norm1",
    ]


def test_nodes_of_the_outermost_module_keep_their_name() -> None:
    assert named(["", "exp"], ["", "pool", "exp"], None) == ["node_0", "pool", "node_2"]


def test_torchs_own_placeholders_are_no_modules() -> None:
    assert named(["", "_empty_nn_module_stack_from_metadata_hook", "exp"]) == ["node_0"]


def test_free_axes_are_renamed_wherever_their_symbol_stands() -> None:
    graph = chain(None, None)
    middle = graph.graph[0].outputs[0]
    middle.shape = ir.Shape(["s0 + 1", "s01", 3])
    name_dimensions(graph, {("x", 0): "batch"})
    assert [str(dim) for dim in middle.shape] == ["batch + 1", "s01", "3"]
    assert str(graph.graph.inputs[0].shape[0]) == "batch"
    assert str(graph.graph.outputs[0].shape[0]) == "batch"


def test_fixed_axes_and_other_inputs_are_left_alone() -> None:
    graph = chain(None)
    name_dimensions(graph, {("x", 1): "width", ("other", 0): "batch"})
    assert [str(dim) for dim in graph.graph.inputs[0].shape] == ["s0", "3"]
