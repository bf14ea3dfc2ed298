"""Which outputs of a model stand behind operators that select rows, and how many rows these select."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.scopes import subgraphs

_SELECTING = frozenset({"NonMaxSuppression", "TopK", "NonZero", "Compress", "Unique"})


def row_groups(model: ir.Model) -> list[list[str]]:
    """Outputs behind operators that select rows, those that depend on the same ones together.

    Args:
        model: a loaded model.
    """
    selecting = {key for key, function in model.functions.items() if _selects(function)}
    behind: dict[ir.Value, frozenset[ir.Node]] = {}
    for node in model.graph:
        own = node.op_type in _SELECTING or node.op_identifier() in selecting
        own = own or any(_selects(graph) for _, graph in subgraphs(node))
        sources = [behind[value] for value in node.inputs if value in behind]
        found = frozenset({node} if own else ()).union(*sources)
        if found:
            behind.update((value, found) for value in node.outputs)
    groups: dict[frozenset[ir.Node], list[str]] = defaultdict(list)
    for value in model.graph.outputs:
        if value in behind:
            groups[behind[value]].append(str(value.name))
    return list(groups.values())


def _selects(nodes: ir.Graph | ir.Function) -> bool:
    return any(
        node.op_type in _SELECTING or any(_selects(graph) for _, graph in subgraphs(node)) for node in nodes
    )


class SelectedLengths:
    """Notes how many rows operators select; see `normdeploy.reference.evaluator.NodeObserver`."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, node: ir.Node, results: Sequence[Array]) -> None:
        if node.op_type in _SELECTING and results:
            default = {"TopK": -1, "NonZero": 1}.get(node.op_type, 0)
            self.seen.add(np.shape(results[0])[node.attributes.get_int("axis", default)])
