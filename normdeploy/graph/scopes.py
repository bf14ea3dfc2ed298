"""The bodies of nodes that a model holds: its graph, the subgraphs of If, Loop and Scan, its functions.

A body's place is told in words: "" for the main graph, "function own.Normalize", "If 'choice' then_branch",
or several of these from the outside in, with commas between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.graph.edit import Editor
from normdeploy.graph.opsets import standard_opset


@dataclass(frozen=True)
class Scope:
    """One body of nodes.

    Args:
        graph: its nodes.
        where: its place.
        opsets: versions of the operator sets that hold in it.
        editor: for editing it.
    """

    graph: ir.Graph
    where: str
    opsets: Mapping[str, int]
    editor: Editor

    @property
    def opset(self) -> int:
        """The version of the standard operators."""
        return standard_opset(self.opsets)


def scopes(model: ir.Model) -> list[Scope]:
    """The main graph, then its functions; each followed by the subgraphs inside it."""
    found = list(_nested(Scope(model.graph, "", model.opset_imports, Editor(model.graph))))
    for function in model.functions.values():
        editor = Editor(function.graph, in_function=True)
        found += _nested(Scope(function.graph, _place(function), function.opset_imports, editor))
    return found


def located_nodes(model: ir.Model) -> Iterator[tuple[ir.Node, str]]:
    """Every node with its body's place: of the main graph, then of the functions.

    The nodes of a subgraph follow the node that holds it.
    """
    yield from _located(model.graph, "")
    for function in model.functions.values():
        yield from _located(function, _place(function))


def subgraphs(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """The graphs that a node's attributes hold, each with its attribute's name, in the file's order."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.name, attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from ((attribute.name, graph) for graph in attribute.as_graphs())


def node_name(node: ir.Node) -> str:
    """A node's name, or that of its first output."""
    return node.name or next((value.name for value in node.outputs if value.name), "") or node.op_type


def _nested(scope: Scope) -> Iterator[Scope]:
    yield scope
    for node in scope.graph:
        for where, graph in _placed_subgraphs(node, scope.where):
            yield from _nested(Scope(graph, where, scope.opsets, scope.editor.inside(graph)))


def _located(nodes: Iterable[ir.Node], where: str) -> Iterator[tuple[ir.Node, str]]:
    for node in nodes:
        yield node, where
        for inner, graph in _placed_subgraphs(node, where):
            yield from _located(graph, inner)


def _placed_subgraphs(node: ir.Node, where: str) -> Iterator[tuple[str, ir.Graph]]:
    """The subgraphs of a node of a body, each with its place."""
    for attribute, graph in subgraphs(node):
        inner = f"{node.op_type} '{node_name(node)}' {attribute}"
        yield f"{where}, {inner}" if where else inner, graph


def _place(function: ir.Function) -> str:
    return f"function {function.domain}.{function.name}"
