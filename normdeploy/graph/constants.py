"""Which tensors are the same for all inputs of a model. Nothing is evaluated here.

A tensor is constant if it is an initializer that the caller cannot override, or if a node computes it from
constant tensors only, and

- gives the same result each time: none of the operators that draw random numbers, nor Dropout, which does
  in training, stands in it or in a function that it calls;
- holds no subgraph, which may read any tensor of the graphs around it;
- takes no attribute from the caller of the function that it stands in.

What a function or the body of a Loop or Scan gets from outside is not constant.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from normdeploy.graph.initializers import is_overridable
from normdeploy.graph.scopes import subgraphs

_RANDOM = ("Random", "Bernoulli", "Multinomial", "Dropout")
"""How the names of operators begin that may give another result each time."""


class ConstantAnalysis:
    """Tells the constant tensors of a model from the others, and remembers what it found.

    Args:
        model: the model. Its nodes may be edited in the meantime as long as the tensors that were asked for
            stay constant, or stay not constant.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._known: dict[ir.Value, bool] = {}

    def is_overridable(self, value: ir.Value) -> bool:
        """Whether the tensor is an initializer that the caller may replace."""
        return is_overridable(value, self._model.ir_version)

    def is_constant(self, value: ir.Value) -> bool:
        """Whether the tensor is the same for all inputs of the model.

        Args:
            value: a tensor of any graph or function of the model.
        """
        cone = [value]
        while cone:
            current = cone[-1]
            if current in self._known:
                cone.pop()
                continue
            producer = current.producer()
            if producer is None:
                self._known[current] = current.is_initializer() and not self.is_overridable(current)
            elif not self._is_pure(producer):
                self._known[current] = False
            else:
                inputs = [item for item in producer.inputs if item is not None]
                unknown = [item for item in inputs if item not in self._known]
                if unknown:
                    cone.extend(unknown)
                else:
                    self._known[current] = all(self._known[item] for item in inputs)
        return self._known[value]

    def names(self) -> set[str]:
        """The names of the constant tensors of the main graph: initializers and what nodes make of them."""
        graph = self._model.graph
        values = [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]
        return {value.name for value in values if value.name and self.is_constant(value)}

    def _is_pure(self, node: ir.Node) -> bool:
        """Whether the node's results follow from its inputs and its own attributes."""
        unclear = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        if any(item.is_ref() or item.type in unclear for item in node.attributes.values()):
            return False
        return not is_nondeterministic([node], self._model)


def is_nondeterministic(nodes: Iterable[ir.Node], model: ir.Model) -> bool:
    """Whether nodes, or what they contain or call, may give another result each time.

    Args:
        nodes: nodes, a graph or a function.
        model: the model, which holds the functions that they may call.
    """
    for node in nodes:
        if node.op_type.startswith(_RANDOM):
            return True
        function = model.functions.get(node.op_identifier())
        if function is not None and is_nondeterministic(function, model):
            return True
        if any(is_nondeterministic(graph, model) for _, graph in subgraphs(node)):
            return True
    return False
