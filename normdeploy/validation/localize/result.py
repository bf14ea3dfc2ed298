"""What a search for the first wrong node finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from normdeploy.graph.scopes import node_name
from normdeploy.validation.compare import TensorComparison

How = Literal["reference", "alone", "fused"]
"""In what sense a node is wrong; see `Divergence`."""


@dataclass(frozen=True)
class Divergence:
    """The first wrong node.

    Args:
        node: its name, or that of its first output.
        op_type: its operator.
        output: the tensor that is wrong.
        how: "reference" if the deployed graph itself differs from the original, "alone" if the backend
            computes this node wrongly, "fused" if it goes wrong only together with those before it.
    """

    node: str
    op_type: str
    output: str
    how: How

    @classmethod
    def at(cls, node: ir.Node, output: str, how: How) -> Divergence:
        """The divergence at a node of a graph."""
        return cls(node_name(node), node.op_type, output, how)


@dataclass(frozen=True)
class NodeError:
    """One tensor of the graph, compared on its own.

    Args:
        node: the name of the node that computes it, or that of the node's first output.
        op_type: the node's operator.
        output: the tensor's name.
        comparison: how far it is from what it should be.
    """

    node: str
    op_type: str
    output: str
    comparison: TensorComparison

    @classmethod
    def of(cls, node: ir.Node, output: str, comparison: TensorComparison) -> NodeError:
        """The error of a node of a graph."""
        return cls(node_name(node), node.op_type, output, comparison)


@dataclass(frozen=True)
class Localization:
    """The outcome of a search.

    Args:
        first: the first wrong node; None if every node is right.
        nodes: what was compared on the way, in the graph's order.
        remarks: what could not be looked at, and why; what it means that no node is named. A line each.
    """

    first: Divergence | None
    nodes: Sequence[NodeError] = ()
    remarks: Sequence[str] = ()
