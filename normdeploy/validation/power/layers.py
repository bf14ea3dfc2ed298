"""The layers of a graph: the nodes in which a defect would sit.

These nodes of the main graph count, where they compute floating numbers that depend on the inputs:

- nodes that read stored floating numbers as weights: convolutions, products, sums, scales, recurrent layers,
  rows looked up in a table (Gather);
- LRN and normalizations, with weights and without;
- operators outside the standard that read stored floating numbers;
- calls of functions, branches and loops, each as one layer.

Where an output depends on none of these, the nodes that compute floating numbers on the way to it count in
their place: a graph of a single Sqrt has one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.graph.normalizations import is_normalization
from normdeploy.graph.scopes import node_name, subgraphs
from normdeploy.validation.localize.submodels import tensors_read
from normdeploy.validation.weight_positions import reads_as_weight

_STANDARD = ("", "ai.onnx")

_CHANNELS_SECOND = frozenset({
    "Conv", "ConvTranspose", "FusedConv", "DeformConv", "QLinearConv", "BatchNormalization", "LRN",
    "InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization", "IntraChannelLRN",
})  # fmt: skip
"""Operators whose results have their channels along the second axis, whatever the rank."""

_CHANNELS_LAST = frozenset({"LSTM", "GRU", "RNN", "NhwcConv"})
"""Those that have them along the last axis. Others have them along the second one from four axes on: images;
with fewer, along the last: features."""


@dataclass(frozen=True)
class Layer:
    """One node of the main graph.

    Args:
        position: its place in the graph's order.
        name: of the node, or of its first output.
        op_type: its operator.
        outputs: the names of what it computes.
        per_element: whether each element has an error of its own, and not each channel.
    """

    position: int
    name: str
    op_type: str
    outputs: tuple[str, ...]
    per_element: bool = False

    def with_error(self, array: Array, size: float, seed: Sequence[int]) -> Array:
        """One of its outputs, each channel or element by a relative error off, up or down.

        Args:
            array: as the layer computes it.
            size: of the errors.
            seed: of their signs; outputs of the same number of channels have the same ones.
        """
        if not is_floating(array.dtype):
            return array
        shape = list(array.shape) if self.per_element else [1] * array.ndim
        if shape:
            axis = self._axis(array.ndim)
            shape[axis] = array.shape[axis]
        signs = np.random.default_rng([*seed, self.position]).choice([-1.0, 1.0], shape)
        with np.errstate(all="ignore"):
            return np.asarray(array * (1 + size * signs))

    def _axis(self, ndim: int) -> int:
        second = self.op_type in _CHANNELS_SECOND or (ndim >= 4 and self.op_type not in _CHANNELS_LAST)
        return 1 if second and ndim > 1 else ndim - 1


def layers_of(model: ir.Model) -> list[Layer]:
    """The layers of a model, in the graph's order.

    Args:
        model: with its types inferred.
    """
    nodes = list(model.graph)
    analysis = ConstantAnalysis(model)
    found = {node for node in nodes if _is_varying(node, analysis) and _is_layer(node, model, analysis)}
    reached = _behind(found, model.graph)
    for output in model.graph.outputs:
        if output not in reached:
            found |= {node for node in _before(output, model.graph) if _is_varying(node, analysis)}
    return [
        Layer(
            position, node_name(node), node.op_type, tuple(value.name for value in node.outputs if value.name)
        )
        for position, node in enumerate(nodes)
        if node in found
    ]


def outputs_behind(model: ir.Model, layers: Iterable[Layer]) -> set[str]:
    """The names of the outputs that depend on a layer.

    Args:
        model: whose.
        layers: of the same model.
    """
    nodes = list(model.graph)
    reached = _behind({nodes[layer.position] for layer in layers}, model.graph)
    return {str(value.name) for value in model.graph.outputs if value in reached}


def _behind(layers: set[ir.Node], graph: ir.Graph) -> set[ir.Value]:
    """What layers compute, and all that is computed from it."""
    reached: set[ir.Value] = set()
    for node in graph:
        if node in layers or not reached.isdisjoint(_reads(node, graph)):
            reached.update(node.outputs)
    return reached


def _is_varying(node: ir.Node, analysis: ConstantAnalysis) -> bool:
    """Whether a node computes floating numbers that depend on the inputs; a type may be unknown."""
    return any(
        (value.dtype is None or value.dtype.is_floating_point()) and not analysis.is_constant(value)
        for value in node.outputs
        if value.name
    )


def _is_layer(node: ir.Node, model: ir.Model, analysis: ConstantAnalysis) -> bool:
    if is_normalization(node) or node.op_identifier() in model.functions or any(subgraphs(node)):
        return True
    return any(
        value is not None
        and (value.dtype is None or value.dtype.is_floating_point())
        and analysis.is_constant(value)
        and (
            reads_as_weight(node, index)
            or (node.op_type == "Gather" and index == 0)
            or node.domain not in _STANDARD
        )
        for index, value in enumerate(node.inputs)
    )


def _reads(node: ir.Node, graph: ir.Graph) -> set[ir.Value]:
    """The numbers that a node reads, its subgraphs included; none where it only asks for their shape."""
    if node.domain in _STANDARD and node.op_type in ("Shape", "Size"):
        return set()
    inner = tensors_read(node) if any(subgraphs(node)) else set()
    found = {value for value in node.inputs if value is not None}
    if inner:
        found |= {value for other in graph for value in other.outputs if value.name in inner}
    return found


def _before(output: ir.Value, graph: ir.Graph) -> Iterable[ir.Node]:
    """The nodes that an output is computed from."""
    found: set[ir.Node] = set()
    waiting = [output]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node.graph is graph and node not in found:
            found.add(node)
            waiting.extend(_reads(node, graph))
    return found
