"""The bodies of nodes that a model holds: its graph, the subgraphs of If, Loop and Scan, its functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.graph.edit import Editor


@dataclass(frozen=True)
class Scope:
    """One body of nodes.

    Args:
        graph: its nodes.
        where: "" for the main graph; else the function, or the subgraph's node and attribute, in words.
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
        return self.opsets.get("", self.opsets.get("ai.onnx", 1))


def scopes(model: ir.Model) -> list[Scope]:
    """The main graph, then its functions; each followed by the subgraphs inside it."""
    found = list(_nested(Scope(model.graph, "", model.opset_imports, Editor(model.graph))))
    for function in model.functions.values():
        where = f"function {function.domain}.{function.name}"
        editor = Editor(function.graph, in_function=True)
        found += _nested(Scope(function.graph, where, function.opset_imports, editor))
    return found


def subgraphs(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """The graphs that a node's attributes hold, by attribute."""
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
        for attribute, graph in subgraphs(node):
            inner = f"{node.op_type} '{node_name(node)}' {attribute}"
            where = f"{scope.where}, {inner}" if scope.where else inner
            yield from _nested(Scope(graph, where, scope.opsets, scope.editor.inside(graph)))
