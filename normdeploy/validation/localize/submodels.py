"""Models made of some nodes of another one: nodes side by side, or everything up to a node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.initializers import free_initializers, required_inputs
from normdeploy.graph.scopes import subgraphs

CHUNK_BYTES = 2**26
"""What the tensors of one submodel may take, in the reference's float64. For one image AlexNet's take 14 MiB
and ResNet-50's 287 MiB, so that the first runs in one process and the second in five."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Submodel:
    """Some nodes of another model's main graph, ready to run.

    Args:
        model: the nodes, as a model of their own.
        outputs: name of each of its outputs -> name of the same tensor in the whole model.
    """

    model: ir.Model
    outputs: Mapping[str, str]

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs that it has to be given; the tensors have them in the whole model too."""
        return [str(value.name) for value in required_inputs(self.model.graph)]


def tensors_read(node: ir.Node) -> set[str]:
    """The names of the tensors that a node and the nodes of its subgraphs take."""
    found = {str(value.name) for value in node.inputs if value is not None}
    for _, graph in subgraphs(node):
        for inner in graph:
            found |= tensors_read(inner)
    return found


def last_readers(nodes: Sequence[ir.Node]) -> dict[str, int]:
    """The name of each tensor that nodes read -> the position of the last of them that does."""
    return {name: position for position, node in enumerate(nodes) for name in tensors_read(node)}


def is_separable(node: ir.Node) -> bool:
    """Whether a node can run on its own: it takes something, and knows the types of all its tensors.

    Args:
        node: of a model whose types have been inferred.
    """
    values = [*node.inputs, *(value for value in node.outputs if value.name)]
    return bool(node.inputs) and all(
        value is None or value.const_value is not None or _is_tensor(value) for value in values
    )


def isolated_nodes(
    model: ir.Model,
    positions: Collection[int],
    tensors: Mapping[str, Array],
    embedded: Collection[str],
    shapes: Mapping[str, Sequence[int]],
) -> Submodel:
    """Nodes of the main graph side by side, each on given tensors: none reads what another computes.

    A runtime can fuse none of them with what stood before or after it. Shapes are fixed to those of the
    given tensors, so that models with open shapes need nothing else.

    Args:
        model: the whole model, with its types inferred; it is not changed.
        positions: the nodes' places in the graph's order; all are separable.
        tensors: what they read, by name, in the declared types.
        embedded: names of tensors that become initializers of the submodel, in place of inputs.
        shapes: of what they compute, by name; a file may declare others, or none, which no output may have.
    """
    part = model.clone()
    free_initializers(part)
    graph = part.graph
    graph.outputs.clear()
    nodes = list(graph)
    kept = [node for position, node in enumerate(nodes) if position in positions]
    results = [value for node in kept for value in node.outputs if value.uses() or _is_output(model, value)]
    sources = [_detach(value) for node in nodes for value in node.outputs if value.name and value.uses()]
    graph.remove([node for position, node in enumerate(nodes) if position not in positions], safe=True)
    for source in (*sources, *graph.inputs):
        name = str(source.name)
        if source.uses() and name in tensors and source.const_value is None:
            _supply(graph, source, tensors[name], name in embedded)
    outputs = {}
    _set_shapes(results, shapes)
    for value in results:
        outputs[f"{value.name}/alone"] = str(value.name)
        value.name = f"{value.name}/alone"
        graph.outputs.append(value)
    _drop_unused(graph)
    return Submodel(part, outputs)


def connected_nodes(
    model: ir.Model,
    positions: Collection[int],
    outputs: Collection[str],
    tensors: Mapping[str, Array],
    embedded: Collection[str],
    shapes: Mapping[str, Sequence[int]],
) -> ir.Model:
    """Nodes of the main graph as they hang together, on given tensors where these come from other nodes.

    Args:
        model, positions, embedded, shapes: see `isolated_nodes`.
        outputs: the names of those of their tensors that become the outputs.
        tensors: what they read and do not compute, by name, in the declared types.
    """
    part = model.clone()
    free_initializers(part)
    graph = part.graph
    graph.outputs.clear()
    nodes = list(graph)
    kept = [node for position, node in enumerate(nodes) if position in positions]
    others = [node for position, node in enumerate(nodes) if position not in positions]
    sources = [_detach(value) for node in others for value in node.outputs if value.name and value.uses()]
    graph.remove(others, safe=True)
    for source in (*sources, *graph.inputs):
        name = str(source.name)
        if source.uses() and name in tensors and source.const_value is None:
            _supply(graph, source, tensors[name], name in embedded)
    computed = [value for node in kept for value in node.outputs]
    graph.outputs.extend(value for value in computed if value.name in outputs)
    _set_shapes(computed, shapes)
    _drop_unused(graph)
    return part


def prefix(
    model: ir.Model, count: int, constant: Collection[str], shapes: Mapping[str, Sequence[int]]
) -> Submodel:
    """The main graph's first nodes; its outputs are the tensors that the rest of the model takes from them.

    Args:
        model: the whole model, with its types inferred; it is not changed.
        count: how many nodes.
        constant: names of tensors that do not depend on the inputs; they are no outputs of the prefix.
        shapes: of what the nodes compute, by name; a file may declare others, or none.
    """
    names = set(cut_tensors(model, count, constant))
    part = model.clone()
    graph = part.graph
    nodes = list(graph)
    graph.outputs.clear()
    for node in reversed(nodes[count:]):
        graph.remove(node, safe=True)
    graph.outputs.extend(value for node in nodes[:count] for value in node.outputs if value.name in names)
    _set_shapes((value for node in graph for value in node.outputs), shapes)
    _drop_unused(graph)
    return Submodel(part, {str(value.name): str(value.name) for value in graph.outputs})


def cut_tensors(model: ir.Model, count: int, constant: Collection[str]) -> list[str]:
    """The names of the tensors that the rest of a model takes from the main graph's first nodes.

    Args:
        model, count, constant: see `prefix`.
    """
    nodes = list(model.graph)
    needed = {name for node in nodes[count:] for name in tensors_read(node)}
    needed |= {str(value.name) for value in model.graph.outputs}
    return [
        value.name
        for node in nodes[:count]
        for value in node.outputs
        if value.name and value.name in needed and value.name not in constant and _is_tensor(value)
    ]


def with_outputs(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy of a model with other outputs.

    Args:
        model: it is not changed.
        names: of the tensors that nodes of its main graph compute and that become the outputs.
    """
    copy = model.clone()
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(value for node in copy.graph for value in node.outputs if value.name in names)
    return copy


def chunks(
    items: Iterable[Item], tensors_of: Callable[[Item], set[str]], nbytes: Mapping[str, int], limit: int
) -> list[list[Item]]:
    """Consecutive items in lists whose tensors take no more than a limit; a larger item is alone in its list.

    Args:
        items: tensors or nodes, in order.
        tensors_of: the names of the tensors that an item needs; those of several items count once.
        nbytes: name -> size of each tensor; tensors that are not in it count nothing.
        limit: bytes for one list.
    """
    found: list[list[Item]] = []
    held: set[str] = set()
    for item in items:
        needed = tensors_of(item)
        held = held | needed
        if not found or sum(nbytes.get(name, 0) for name in held) > limit:
            found.append([])
            held = needed
        found[-1].append(item)
    return found


def as_declared(array: Array, dtype: ir.DataType | None) -> Array:
    """The reference's tensor, in float64, in the type that a model declares."""
    if dtype is None or dtype == ir.DataType.STRING:
        return array
    with np.errstate(all="ignore"):
        return np.asarray(array, dtype=dtype.numpy())


def _detach(value: ir.Value) -> ir.Value:
    """A new tensor of the same name and type that is read in the place of a node's output."""
    source = ir.Value(name=value.name, type=value.type, shape=value.shape)
    ir.convenience.replace_all_uses_with(value, source)
    return source


def _supply(graph: ir.Graph, source: ir.Value, array: Array, embed: bool) -> None:
    """Make a tensor that no node computes any more an initializer or an input, of the array's shape."""
    source.shape = ir.Shape(array.shape)
    if source.is_graph_input():
        return
    if embed:
        source.const_value = ir.tensor(array, dtype=source.dtype, name=source.name)
        graph.initializers.add(source)
    else:
        graph.inputs.append(source)


def _set_shapes(values: Iterable[ir.Value], shapes: Mapping[str, Sequence[int]]) -> None:
    for value in values:
        if value.name is not None and value.name in shapes:
            value.shape = ir.Shape(shapes[value.name])


def _drop_unused(graph: ir.Graph) -> None:
    for value in list(graph.inputs):
        if not value.uses():
            graph.inputs.remove(value)
    for name, value in list(graph.initializers.items()):
        if not value.uses():
            del graph.initializers[name]


def _is_output(model: ir.Model, value: ir.Value) -> bool:
    return any(output.name == value.name for output in model.graph.outputs)


def _is_tensor(value: ir.Value) -> bool:
    return isinstance(value.type, ir.TensorType) and value.dtype is not None
