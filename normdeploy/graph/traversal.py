"""Walks through the nodes that compute something, without recursion: graphs are thousands of nodes deep."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir


def upstream(end: ir.Node, before: Callable[[ir.Node], Iterable[ir.Node]]) -> list[ir.Node]:
    """The nodes from which a node is reached, each after those that it needs; the node itself is the last.

    Args:
        end: the node.
        before: the nodes directly before one; what it leaves out is not walked through.
    """
    ordered: dict[ir.Node, None] = {}
    stack = [(end, False)]
    while stack:
        node, expanded = stack.pop()
        if node in ordered:
            continue
        if expanded:
            ordered[node] = None
            continue
        stack.append((node, True))
        stack.extend((item, False) for item in reversed([*before(node)]))
    return list(ordered)


def producers(values: Iterable[ir.Value | None]) -> list[ir.Node]:
    """The nodes that compute some tensors, in the tensors' order; inputs and initializers have none."""
    return [node for value in values if value is not None and (node := value.producer()) is not None]
