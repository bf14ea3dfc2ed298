"""The part of a graph that a choice can change: what lies behind the nodes for which it is made.

All before it is as with the best kernels, and is computed once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.scopes import subgraphs
from normdeploy.kernels import MadeFor
from normdeploy.kernels.number_types import storage


class Parts:
    """Finds where parts begin.

    Args:
        graph: the main graph.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._nodes = list(graph)

    def made_for(self, made: Iterable[MadeFor]) -> set[ir.Node]:
        """The nodes of the graph that choices may concern, by their operators and types.

        Args:
            made: the choices.
        """
        return {
            node
            for each in made
            for node in self._nodes
            if each.includes(node) and storage(node.outputs[0]) in each.choice.types
        }

    def borders(self, nodes: Collection[ir.Node]) -> frozenset[str]:
        """The tensors that have to be known to compute only what lies behind nodes, these included.

        Args:
            nodes: of the graph.
        """
        behind: set[ir.Value] = set()
        read: set[ir.Value] = set()
        for node in self._nodes:
            inputs = set(_reads(node))
            if node in nodes or inputs & behind:
                behind.update(node.outputs)
                read |= inputs
        read.update(self._graph.outputs)
        own = set(self._nodes)
        return frozenset(str(value.name) for value in read - behind if value.producer() in own)


@dataclass
class Kept:
    """Tensors of a run that are kept for others.

    Args:
        wanted: their names.
    """

    wanted: frozenset[str]
    tensors: dict[str, Array] = field(default_factory=dict)

    def on_node(self, node: ir.Node, results: Sequence[Array]) -> None:
        """See what a node has computed; a `NodeObserver`."""
        self.tensors.update(
            (str(value.name), array)
            for value, array in zip(node.outputs, results, strict=False)
            if value.name in self.wanted
        )

    def of(self, names: frozenset[str]) -> Mapping[str, Array]:
        """Some of the tensors; none where one of them is not there, so that all has to be computed.

        Args:
            names: of those.
        """
        if not names <= self.tensors.keys():
            return {}
        return {name: self.tensors[name] for name in names}


def _reads(node: ir.Node) -> Iterator[ir.Value]:
    """What a node uses; what its subgraphs use counts."""
    yield from (value for value in node.inputs if value is not None)
    for _, graph in subgraphs(node):
        for inner in graph:
            yield from _reads(inner)
