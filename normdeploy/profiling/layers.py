"""A runtime's steps, attributed to the nodes of the model that it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import onnx_ir as ir

from normdeploy.backends.session import LayerTime
from normdeploy.graph.normalizations import normalizations
from normdeploy.graph.scopes import node_name
from normdeploy.profiling.roofline import Roofline, bytes_moved, roofline

_LAYOUT_SUFFIX = "_nchwc"
"""onnxruntime names a node that it moves to its blocked layout by its output, and this."""

_JOINED = " + "
"""TensorRT names a fused layer by all of its nodes."""

_LAYOUT_CHANGES = ("ReorderInput", "ReorderOutput")
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_VALUES_WITHOUT_WORK = ("Constant", "Identity")


@dataclass(frozen=True)
class Layer:
    """One step of a runtime.

    Args:
        name, op_type: in the runtime's terms.
        mean_ms: of one run.
        share: of the sum over all steps.
        nodes: the model's nodes that it computes, in their order; none for what the runtime added.
        normalization: the kind of normalization among them; None if there is none.
        fused: whether a convolution or a matrix product is among them too, and takes most of the time.
        roofline: of a normalization on its own, where the device's bandwidth is known; where several steps
            compute the same nodes, that of them all together.
    """

    name: str
    op_type: str
    mean_ms: float
    share: float
    nodes: Sequence[str]
    normalization: str | None
    fused: bool
    roofline: Roofline | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields; those of the roofline are null without one."""
        fields = asdict(self)
        known = fields.pop("roofline") or {}
        return {
            **fields,
            "nodes": list(self.nodes),
            "bytes_moved": known.get("bytes_moved"),
            "floor_ms": known.get("floor_ms"),
            "floor_share": known.get("share"),
        }


Kinds = Mapping[str, str]
"""Node of a normalization -> its kind."""


def normalization_kinds(models: Sequence[ir.Model]) -> Kinds:
    """The normalization layers of models that are compared, in all of their bodies.

    Args:
        models: the model that is timed, and the one that it is timed against.
    """
    return {found.node: found.kind for model in models for found in normalizations(model)}


def attribute(times: Sequence[LayerTime], model: ir.Model, kinds: Kinds) -> list[Layer]:
    """Steps with the nodes that they compute.

    A tensor that both graphs have, by name, ties a step to a node. Nodes whose outputs the runtime no longer
    has were fused: they belong to the step that computes the first tensor after them that it does have. A
    node that keeps its name but not its tensors is tied by name. A step with tensors of its own only, such as
    the inside of a function, belongs to the nodes of the step that it leads to.

    Args:
        times: the steps, in order of execution.
        model: what the runtime was given.
        kinds: the normalization layers to mark. A node "norm.root" counts as "norm": where a normalization
            of one model was lowered to other operators in the other one, they carry its name.
    """
    total = sum(time.ms for time in times) or 1.0
    nodes = {node_name(node): node for node in model.graph}
    producers = {value.name: node for node in model.graph for value in node.outputs if value.name}
    anchors = [_anchors(time, times, producers, nodes) for time in times]
    ends = {id(node) for nodes_of_step in anchors for node in nodes_of_step}
    covered = [_fused(found, ends) for found in anchors]
    order = {id(node): index for index, node in enumerate(model.graph)}
    layers = []
    for time in times:
        nodes_of_step = covered[_leads_to(time, times, covered)]
        names = [node_name(node) for node in sorted(nodes_of_step, key=lambda node: order[id(node)])]
        kind = next(filter(None, (_kind(name, kinds) for name in names)), None)
        fused = any(node.op_type in _PRODUCTS and not _kind(node_name(node), kinds) for node in nodes_of_step)
        layers.append(Layer(time.name, time.op_type, time.ms, time.ms / total, names, kind, fused))
    return layers


def with_rooflines(layers: Sequence[Layer], model: ir.Model, bytes_per_second: float) -> list[Layer]:
    """The steps, those that are normalization on its own with their rooflines.

    Args:
        layers: all steps.
        model: the one that they were attributed to, with the sizes that it ran with.
        bytes_per_second: of the device's memory, read and written together.
    """
    nodes = {node_name(node): node for node in model.graph}
    found = []
    for layer in layers:
        measured_ms = sum(other.mean_ms for other in layers if other.nodes == layer.nodes)
        if layer.normalization and not layer.fused and measured_ms > 0:
            moved = bytes_moved([nodes[name] for name in layer.nodes])
            if moved is not None:
                layer = replace(layer, roofline=roofline(moved, bytes_per_second, measured_ms))
        found.append(layer)
    return found


def _kind(name: str, kinds: Kinds) -> str | None:
    found = (kind for known, kind in kinds.items() if name == known or name.startswith(f"{known}."))
    return next(found, None)


def _leads_to(time: LayerTime, times: Sequence[LayerTime], covered: Sequence[Sequence[ir.Node]]) -> int:
    """The index of the first step with nodes, from this one onwards along its tensors."""
    index = seen = times.index(time)
    visited = {index}
    while not covered[index] and times[index].op_type not in _LAYOUT_CHANGES:
        following = (
            other
            for other, candidate in enumerate(times)
            if other not in visited and set(candidate.inputs) & set(times[index].outputs)
        )
        index = next(following, seen)
        if index in visited:
            return seen
        visited.add(index)
    return index


def _anchors(
    time: LayerTime,
    times: Sequence[LayerTime],
    producers: Mapping[str, ir.Node],
    nodes: Mapping[str, ir.Node],
) -> list[ir.Node]:
    """The model's nodes whose outputs a step computes."""
    if time.op_type in _LAYOUT_CHANGES:
        return []
    found = [producers[name] for name in _outputs(time, times) if name in producers]
    if found:
        return found
    names = [part.removesuffix(_LAYOUT_SUFFIX) for part in time.name.split(_JOINED)]
    known = (producers.get(name) or nodes.get(name) for name in names)
    return [node for node in known if node is not None]


def _outputs(time: LayerTime, times: Sequence[LayerTime]) -> Iterator[str]:
    """What a step computes, also under the name that it has after a change of layout."""
    for name in time.outputs:
        yield name
        for other in times:
            if other.op_type in _LAYOUT_CHANGES and name in other.inputs:
                yield from other.outputs


def _fused(ends_of_step: Iterable[ir.Node], ends: set[int]) -> list[ir.Node]:
    """These nodes, and those before them that no step ends with."""
    covered: list[ir.Node] = []
    waiting = list(ends_of_step)
    while waiting:
        node = waiting.pop()
        if any(node is other for other in covered):
            continue
        if node.op_type not in _VALUES_WITHOUT_WORK or id(node) in ends:
            covered.append(node)
        for value in node.inputs:
            before = value.producer() if value is not None else None
            if before is not None and id(before) not in ends:
                waiting.append(before)
    return covered
