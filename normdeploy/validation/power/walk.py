"""A batch on its way through a graph, from layer to layer, in the reference.

Behind each layer the graph is cut. The tensors that cross the cut, computed before it and needed after it,
are all that the rest of the graph has to be given: it can be run again and again, with an error in the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.reference import Evaluator
from normdeploy.validation.localize.submodels import last_readers
from normdeploy.validation.power.layers import Layer, layers_of

Arrays = Mapping[str, Array]


class Cuts:
    """The layers of a graph, and what crosses the cut behind each.

    Args:
        model: with its types inferred.
    """

    def __init__(self, model: ir.Model) -> None:
        self.layers = layers_of(model)
        self._constant = ConstantAnalysis(model).names()
        self.nodes = list(model.graph)
        self._last: dict[str, float] = {**last_readers(self.nodes)}
        self._last |= {str(value.name): float("inf") for value in model.graph.outputs}
        self._computed = [
            [value for value in node.outputs if value.name and _is_tensor(value)] for node in self.nodes
        ]

    def crossing(self, layer: Layer) -> list[str]:
        """The names of the tensors that cross the cut behind a layer, but for those that no input changes."""
        return [
            str(value.name)
            for values in self._computed[: layer.position + 1]
            for value in values
            if self._last.get(str(value.name), -1) > layer.position and value.name not in self._constant
        ]


class Walk:
    """One batch on its way.

    Args:
        evaluator: of the graph.
        cuts: of the same graph.
        inputs: the batch.
    """

    def __init__(self, evaluator: Evaluator, cuts: Cuts, inputs: Arrays) -> None:
        self._evaluator = evaluator
        self._cuts = cuts
        self._inputs = inputs
        self._tensors: Arrays = {}

    def advance(self, layer: Layer) -> None:
        """Compute what crosses the cut behind a layer; the layers have to come in order."""
        self._tensors = self._evaluator.run(self._inputs, self._cuts.crossing(layer), given=self._tensors)

    def outputs_with_error(self, layer: Layer, size: float, seed: Sequence[int]) -> dict[str, Array]:
        """The graph's outputs with an error in the layer at which the batch is; it stays where it is.

        Args:
            layer: where the batch is.
            size, seed: see `Layer.with_error`.
        """
        wrong = {
            name: layer.with_error(array, size, seed) if name in layer.outputs else array
            for name, array in self._tensors.items()
        }
        return self._evaluator.run(self._inputs, given=wrong)


def outputs_with_errors(
    evaluator: Evaluator,
    cuts: Cuts,
    inputs: Arrays,
    size: float,
    seed: Sequence[int],
    per_element: bool = False,
) -> dict[str, Array]:
    """The outputs of a graph with an error in every layer.

    Args:
        evaluator: of the graph.
        cuts: of the same graph.
        inputs: the batch.
        size: of the errors, relative.
        seed: of their signs.
        per_element: whether each element has an error of its own, and not each channel.
    """
    layers = {cuts.nodes[layer.position]: replace(layer, per_element=per_element) for layer in cuts.layers}

    def on_node(node: ir.Node, results: Sequence[Array]) -> Sequence[Array] | None:
        if node not in layers:
            return None
        return [layers[node].with_error(result, size, seed) for result in results]

    return evaluator.run(inputs, on_node=on_node)


def _is_tensor(value: ir.Value) -> bool:
    """Whether it may be one; of what a function gives the type may be unknown."""
    return value.type is None or isinstance(value.type, ir.TensorType)
