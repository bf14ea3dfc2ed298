"""Editing a graph: constants of its own for a node, nodes in place of others, no name used twice."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray


class Editor:
    """Edits one graph. Names stay unique in it, in the graphs around it and in its subgraphs.

    Args:
        graph: the main graph, or a function's.
        in_function: constants become Constant nodes, since functions have no initializers.
    """

    def __init__(self, graph: ir.Graph, *, in_function: bool = False) -> None:
        self.graph = graph
        self._in_function = in_function
        self._outer: Editor | None = None

    def inside(self, graph: ir.Graph) -> Editor:
        """An editor of a graph inside this one; the two share the names that are taken.

        Args:
            graph: a subgraph of a node, at any depth.
        """
        inner = Editor(graph, in_function=self._in_function)
        inner._outer = self
        return inner

    @cached_property
    def _names(self) -> set[str | None]:
        """The names that are taken; looked up when the first one is needed."""
        if self._outer is not None:
            return self._outer._names
        names = _values_of(self.graph)
        for node in ir.traversal.RecursiveGraphIterator(self.graph):
            names.update(value.name for value in node.outputs)
            names.add(node.name)
        for subgraph in self.graph.subgraphs():
            names |= _values_of(subgraph)
        return names

    def unique(self, name: str) -> str:
        """A name that is not taken, and is from now on: the one given, or with a number behind it."""
        candidate, number = name, 0
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def release(self, name: str) -> None:
        """Free a name whose tensor is gone, or has another name by now."""
        self._names.discard(name)

    def constant(self, name: str, array: NDArray[Any]) -> ir.Value:
        """A new constant: an initializer, or in a function the result of a Constant node.

        Args:
            name: of the tensor, unless it is taken.
            array: its value.
        """
        name = self.unique(name)
        tensor = ir.Tensor(array, name=name)
        if self._in_function:
            node = ir.node("Constant", [], {"value": tensor}, name=self.unique(f"{name}.constant"))
            node.outputs[0].name = name
            self._insert_first(node)
            value = node.outputs[0]
        else:
            value = ir.Value(name=name, const_value=tensor)
            self.graph.initializers.add(value)
        value.shape, value.type = ir.Shape(array.shape), ir.TensorType(tensor.dtype)
        return value

    def set_input(self, node: ir.Node, index: int, value: ir.Value) -> None:
        """Connect an input of a node.

        Args:
            node: the node.
            index: of the input; it may be one beyond those that the node has.
            value: what the node is to read there.
        """
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, value)

    def set_constant(self, node: ir.Node, index: int, array: NDArray[Any], fallback_name: str) -> None:
        """Give a node a constant of its own; others that read the old one keep it.

        The new one takes over the name of an old initializer that nothing reads any more.

        Args:
            node: the node.
            index: of the input that becomes the constant.
            array: its value.
            fallback_name: of the constant where the node has no such input yet.
        """
        old = node.inputs[index] if index < len(node.inputs) else None
        if old is not None:
            node.replace_input_with(index, None)
        name = str(old.name) if old is not None else fallback_name
        if old is not None and self._drop(old):
            self.release(name)
        self.set_input(node, index, self.constant(name, array))

    def replace(self, node: ir.Node, replacement: ir.Node) -> None:
        """Put a node in the place of another; the tensor that they make keeps its name, type and shape.

        Args:
            node: a node of this graph, of whose outputs only the first is used.
            replacement: a node with one output that is in no graph yet.
        """
        old, new = node.outputs[0], replacement.outputs[0]
        new.name, new.type, new.shape = old.name, old.type, old.shape
        self.graph.insert_before(node, replacement)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        self.graph.remove(node, safe=True)

    def bypass(self, node: ir.Node, source: ir.Value) -> None:
        """Take a node out; the tensor that it reads takes the place and the name of its result.

        Args:
            node: a node of this graph, of whose outputs only the first is used.
            source: what it reads.
        """
        result = node.outputs[0]
        name = result.name
        if source.type is None:
            source.type = result.type
        if source.shape is None:
            source.shape = result.shape
        self.skip(node, source)
        source.name = name

    def skip(self, node: ir.Node, source: ir.Value) -> None:
        """Take a node out; what read its result reads the tensor that it reads, which keeps its name.

        Args:
            node: a node of this graph, of whose outputs only the first is used.
            source: what it reads.
        """
        ir.convenience.replace_all_uses_with(node.outputs[0], source, replace_graph_outputs=True)
        self.graph.remove(node, safe=True)

    def _insert_first(self, node: ir.Node) -> None:
        first = next(iter(self.graph), None)
        if first is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(first, node)

    def _drop(self, value: ir.Value) -> bool:
        """Remove an initializer of this graph that nothing reads; whether it was one."""
        if self.graph.initializers.get(str(value.name)) is not value:
            return False
        if value.uses() or value.is_graph_output():
            return False
        if value.is_graph_input():
            self.graph.inputs.remove(value)
        del self.graph.initializers[str(value.name)]
        return True


def _values_of(graph: ir.Graph) -> set[str | None]:
    return {value.name for value in (*graph.inputs, *graph.initializers.values())}
