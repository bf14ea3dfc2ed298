"""Parts of a model that can run on their own: nodes cut apart, and everything up to a node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.scopes import subgraphs


@dataclass(frozen=True)
class Part:
    """A model made of some nodes of another one's main graph.

    Args:
        model: it.
        outputs: its outputs' names -> the tensors that they are in the whole model.
    """

    model: ir.Model
    outputs: Mapping[str, str]

    @property
    def inputs(self) -> list[str]:
        """The tensors of the whole model that it takes."""
        return [str(value.name) for value in self.model.graph.inputs if value.const_value is None]


def reads(node: ir.Node) -> set[str]:
    """The names of the tensors that a node and its subgraphs use."""
    found = {str(value.name) for value in node.inputs if value is not None}
    for _, graph in subgraphs(node):
        for inner in graph:
            found |= reads(inner)
    return found


def constants(model: ir.Model) -> set[str]:
    """The tensors of the main graph that do not depend on what a caller gives."""
    graph = model.graph
    overridable = model.ir_version >= 4  # before, every initializer had to be listed as an input
    found = {
        name for name, value in graph.initializers.items() if not (overridable and value.is_graph_input())
    }
    for node in graph:
        if not any(True for _ in subgraphs(node)) and reads(node) <= found:
            found.update(str(value.name) for value in node.outputs if value.name)
    return found


def is_separable(node: ir.Node) -> bool:
    """Whether the node can be run on its own: all it takes and gives are tensors of known type."""
    values = [*node.inputs, *(value for value in node.outputs if value.name)]
    return bool(node.inputs) and all(
        value is None or value.const_value is not None or _is_tensor(value) for value in values
    )


def isolated_nodes(
    model: ir.Model, positions: Collection[int], tensors: Mapping[str, Array], constant: Collection[str]
) -> Part:
    """Nodes of the main graph side by side, each on given tensors: none reads what another computes.

    A runtime can fuse none of them with what stood before or after it. Shapes are fixed to those of the
    given tensors, so that models with open shapes need nothing else.

    Args:
        model: the whole model, with its types inferred; not changed.
        positions: the nodes' places in the graph's order; all are separable.
        tensors: what they read, in the declared types.
        constant: those of the tensors to build in, in place of taking them as inputs.
    """
    part = model.clone()
    graph = part.graph
    if model.ir_version < 4:  # which has every initializer listed as an input
        part.ir_version = 4
        for value in graph.initializers.values():
            graph.inputs.remove(value)
    graph.outputs.clear()
    nodes = list(graph)
    kept = [node for position, node in enumerate(nodes) if position in positions]
    wanted = [[value for value in node.outputs if value.uses() or _is_output(model, value)] for node in kept]
    sources = [_detach(value) for node in nodes for value in node.outputs if value.name and value.uses()]
    graph.remove([node for position, node in enumerate(nodes) if position not in positions], safe=True)
    for source in (*sources, *graph.inputs):
        name = str(source.name)
        if not source.uses() or name not in tensors or source.const_value is not None:
            continue
        source.shape = ir.Shape(tensors[name].shape)
        if source.is_graph_input():
            continue
        if name in constant:
            source.const_value = ir.tensor(tensors[name], dtype=source.dtype, name=name)
            graph.initializers.add(source)
        else:
            graph.inputs.append(source)
    outputs = {}
    for value in (value for values in wanted for value in values):
        outputs[f"{value.name}/alone"] = str(value.name)
        value.name = f"{value.name}/alone"
        graph.outputs.append(value)
    _drop_unused(graph)
    return Part(part, outputs)


def prefix(model: ir.Model, count: int, constant: Collection[str]) -> Part:
    """The main graph's first nodes; its outputs are the tensors that the rest of the model takes from them.

    Args:
        model: the whole model, with its types inferred; not changed.
        count: how many nodes.
        constant: tensors that do not depend on the inputs, which are no outputs of it.
    """
    part = model.clone()
    graph = part.graph
    nodes = list(graph)
    rest = {name for node in nodes[count:] for name in reads(node)} | {str(v.name) for v in graph.outputs}
    graph.outputs.clear()
    for node in reversed(nodes[count:]):
        graph.remove(node, safe=True)
    values = [value for node in nodes[:count] for value in node.outputs]
    graph.outputs.extend(
        value for value in values if value.name in rest and value.name not in constant and _is_tensor(value)
    )
    _drop_unused(graph)
    return Part(part, {str(value.name): str(value.name) for value in graph.outputs})


def exposing(model: ir.Model, names: Collection[str]) -> ir.Model:
    """The model with these tensors of its main graph as its outputs."""
    copy = model.clone()
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(value for node in copy.graph for value in node.outputs if value.name in names)
    return copy


def producers(graph: ir.Graph) -> dict[str, ir.Node]:
    """The node that computes each tensor, in the graph's order."""
    return {str(value.name): node for node in graph for value in node.outputs if value.name}


def nearest_ancestors(graph: ir.Graph, name: str, among: Collection[str]) -> set[str]:
    """The tensors of a set that a tensor is computed from with no other of the set between."""
    computed_by = producers(graph)
    found: set[str] = set()
    seen: set[str] = set()
    stack = [name]
    while stack:
        node = computed_by.get(stack.pop())
        for source in reads(node) - seen if node is not None else ():
            seen.add(source)
            if source in among:
                found.add(source)
            else:
                stack.append(source)
    return found


def chunks(
    positions: Iterable[int], nodes: Sequence[ir.Node], nbytes: Mapping[str, int], limit: int
) -> list[list[int]]:
    """The nodes' positions in consecutive lists, the tensors around each list being no more than a limit."""
    found: list[list[int]] = []
    held: set[str] = set()
    for position in positions:
        around = reads(nodes[position]) | {str(value.name) for value in nodes[position].outputs}
        held |= around
        if not found or sum(nbytes.get(name, 0) for name in held) > limit:
            found.append([])
            held = around
        found[-1].append(position)
    return found


def _detach(value: ir.Value) -> ir.Value:
    """A new tensor of the same name and type that is read in the place of a node's output."""
    source = ir.Value(name=value.name, type=value.type, shape=value.shape)
    ir.convenience.replace_all_uses_with(value, source)
    return source


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
