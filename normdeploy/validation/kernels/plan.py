"""Which choices are tried for a model, and how much of its graph each of them needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from normdeploy.kernels import CHOICES, MadeFor
from normdeploy.validation.kernels.parts import Parts
from normdeploy.validation.kernels.witness import Concerned

Made = tuple[MadeFor, ...]
"""Choices that are made at once."""


class Plan:
    """The choices of some backends for one model.

    Args:
        graph: the model's main graph.
        backends: by name.
    """

    def __init__(self, graph: ir.Graph, backends: Sequence[str]) -> None:
        self.backends = backends
        self.concerned = Concerned(CHOICES)
        """What the best kernels have met; it decides which choices matter."""
        self._parts = Parts(graph)
        self._borders: dict[frozenset[ir.Node], frozenset[str]] = {}

    def of(self, backend: str) -> Made:
        """All choices of a backend that matter so far, each with those of its operators that the model has.

        Args:
            backend: its name.
        """
        found = []
        for choice in CHOICES:
            maker = choice.makers.get(backend)
            if maker is not None and self.concerned.nodes[choice]:
                present = maker.operators & self.concerned.operators
                if present or not maker.operators:
                    found.append(MadeFor(choice, present))
        return tuple(found)

    @property
    def singles(self) -> list[Made]:
        """Each choice that a backend may make, by itself."""
        return list(dict.fromkeys((made,) for backend in self.backends for made in self.of(backend)))

    @property
    def together(self) -> list[Made]:
        """All choices of a backend at once, where no other backend has these and more, the most first."""
        found = dict.fromkeys(map(self.of, self.backends))
        largest = [made for made in found if not any(_covers(other, made) for other in found)]
        return sorted((made for made in largest if len(made) > 1), key=len, reverse=True)

    @property
    def wanted(self) -> frozenset[str]:
        """The tensors with the best kernels that single choices may be given."""
        possible = {
            MadeFor(choice, choice.makers[backend].operators)
            for backend in self.backends
            for choice in CHOICES
            if backend in choice.makers
        }
        return frozenset().union(*(self.borders((made,)) for made in possible))

    def borders(self, made: Made) -> frozenset[str]:
        """The tensors that are as with the best kernels, and suffice to compute the rest.

        Args:
            made: the choices that change the rest.
        """
        nodes = self._parts.made_for(made)
        for each in made:
            concerned = self.concerned.nodes[each.choice]
            if any(node not in nodes for node in concerned if each.includes(node)):
                return frozenset()  # it is inside a function, or in a graph inside the graph
        return self.behind(nodes) if nodes else frozenset()

    def behind(self, nodes: Iterable[ir.Node]) -> frozenset[str]:
        """The same, for what lies behind nodes of the main graph.

        Args:
            nodes: these.
        """
        key = frozenset(nodes)
        if key not in self._borders:
            self._borders[key] = self._parts.borders(key)
        return self._borders[key]


def _covers(other: Made, made: Made) -> bool:
    """Whether other choices are these and more, or for more operators."""
    return other != made and all(
        any(more.choice is each.choice and each.operators <= more.operators for more in other)
        for each in made
    )
