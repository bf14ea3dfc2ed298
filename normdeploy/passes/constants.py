"""The values that do not depend on the model's inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.errors import ModelError, UnsupportedOperator
from normdeploy.reference import Evaluator

LARGEST = 2**26
"""Elements; a constant subgraph that makes more than this is left for the runtime to compute."""


class Constants:
    """Which values of a model's graph are constant, and their arrays.

    An initializer that is also a graph input is a default that the caller may override, from IR version 4
    on; such a value is not constant.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._known: dict[ir.Value, bool] = {}

    def is_overridable(self, value: ir.Value) -> bool:
        """Whether the value is an initializer that the caller may replace."""
        return value.is_initializer() and value.is_graph_input() and (self._model.ir_version or 0) >= 4

    def is_constant(self, value: ir.Value) -> bool:
        """Whether the value is the same for all inputs of the model."""
        cone = [value]
        while cone:
            current = cone[-1]
            if current in self._known:
                cone.pop()
                continue
            producer = current.producer()
            if producer is None:
                self._known[current] = current.is_initializer() and not self.is_overridable(current)
                continue
            inputs = [item for item in producer.inputs if item is not None]
            unknown = [item for item in inputs if item not in self._known]
            if _is_pure(producer) and unknown:
                cone.extend(unknown)
            else:
                self._known[current] = _is_pure(producer) and all(self._known[item] for item in inputs)
        return self._known[value]

    def array(self, value: ir.Value | None) -> NDArray[Any] | None:
        """The constant's array in its own type, or None where the value is not constant."""
        if value is None or not self.is_constant(value):
            return None
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is not None:
            return tensor.numpy()
        return self._compute(value)

    def scalar(self, value: ir.Value | None) -> float | None:
        """The constant as a number, or None where it is not a constant of one element."""
        array = self.array(value)
        return float(array.reshape(()).astype(np.float64)) if array is not None and array.size == 1 else None

    def _compute(self, value: ir.Value) -> NDArray[Any] | None:
        if value.dtype is None or (value.shape is not None and _elements(value.shape) > LARGEST):
            return None
        nodes = _ancestors(value)
        graph = ir.GraphView([], [value], nodes=nodes, opset_imports=self._model.opset_imports)
        model = ir.Model(
            graph,  # type: ignore[arg-type]  # a view of the nodes is all that the evaluator reads
            ir_version=self._model.ir_version,
            functions=[*self._model.functions.values()],
        )
        try:
            result = Evaluator(model).run({})[str(value.name)]
        except (ModelError, UnsupportedOperator):
            return None
        return result.astype(value.dtype.numpy())


def _is_pure(node: ir.Node) -> bool:
    has_subgraph = any(
        attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        for attribute in node.attributes.values()
    )
    return not has_subgraph and not node.op_type.startswith(("Random", "Bernoulli", "Multinomial"))


def _elements(shape: ir.Shape) -> int:
    return int(np.prod([dim if isinstance(dim, int) else 1 for dim in shape], dtype=object))


def _ancestors(value: ir.Value) -> list[ir.Node]:
    """The nodes that compute a value, in topological order."""
    ordered: dict[ir.Node, None] = {}
    stack: list[tuple[ir.Node, bool]] = [(node, False) for node in (value.producer(),) if node]
    while stack:
        node, expanded = stack.pop()
        if node in ordered:
            continue
        if expanded:
            ordered[node] = None
            continue
        stack.append((node, True))
        producers = (item.producer() for item in node.inputs if item is not None)
        stack.extend((producer, False) for producer in producers if producer is not None)
    return list(ordered)
