"""Editing a graph: constants of its own for a node, nodes in place of others, no name used twice."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray


class Editor:
    """Edits one graph. Names stay unique in it and in its subgraphs."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._names = {value.name for value in (*graph.inputs, *graph.initializers.values())}
        for node in ir.traversal.RecursiveGraphIterator(graph):
            self._names.update(value.name for value in node.outputs)
            self._names.add(node.name)

    def unique(self, name: str) -> str:
        """The name, or the name with a number where it is taken."""
        candidate, number = name, 0
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def release(self, name: str) -> None:
        """Free a name whose tensor is gone or renamed."""
        self._names.discard(name)

    def constant(self, name: str, array: NDArray[Any]) -> ir.Value:
        """A new initializer; it gets the name unless that is taken."""
        name = self.unique(name)
        tensor = ir.tensor(array, name=name)
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.graph.initializers.add(value)
        return value

    def set_input(self, node: ir.Node, index: int, value: ir.Value) -> None:
        """Connect an input of a node, which may be one beyond those that it has."""
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, value)

    def set_constant(self, node: ir.Node, index: int, array: NDArray[Any], fallback_name: str) -> None:
        """Give a node an initializer of its own; others that read the old one keep it.

        The new one takes over the name of an old initializer that nothing reads any more.
        """
        old = node.inputs[index] if index < len(node.inputs) else None
        if old is not None:
            node.replace_input_with(index, None)
        name = str(old.name) if old is not None else fallback_name
        if old is not None and self._drop(old):
            self.release(name)
        self.set_input(node, index, self.constant(name, array))

    def replace(self, node: ir.Node, replacement: ir.Node) -> None:
        """Put a node with one output in the place of another; the tensor keeps its name, type and shape."""
        old, new = node.outputs[0], replacement.outputs[0]
        new.name, new.type, new.shape = old.name, old.type, old.shape
        self.graph.insert_before(node, replacement)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        self.graph.remove(node, safe=True)

    def bypass(self, node: ir.Node, source: ir.Value) -> None:
        """Take a node with one output out; the tensor that it read takes its result's place and name."""
        result = node.outputs[0]
        name = result.name
        ir.convenience.replace_all_uses_with(result, source, replace_graph_outputs=True)
        self.graph.remove(node, safe=True)
        source.name = name

    def _drop(self, value: ir.Value) -> bool:
        """Remove an initializer that nothing reads; whether it was one."""
        if not value.is_initializer() or value.uses() or value.is_graph_output():
            return False
        if value.is_graph_input():
            self.graph.inputs.remove(value)
        del self.graph.initializers[str(value.name)]
        return True
