"""The arrays of the tensors that do not depend on the model's inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.budget import check_budget, seconds_left, spending
from normdeploy.errors import ModelError, UnsupportedOperator
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.graph.traversal import producers, upstream
from normdeploy.reference import Evaluator

LARGEST = 2**26
"""Elements; a constant subgraph that makes more than this is left for the runtime to compute."""

_MOST_BYTES = 4 * 8 * LARGEST
"""Of memory that computing one constant may take; one that takes more is left, too."""

_SHARE = 0.25
"""Of the time that is left, that computing one constant may take."""

_INSTANT = 1e-6
"""Seconds: what is left when all is used up."""

_QUANTIZERS = ("DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear")
_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze")
_SMALL = 2**16
"""Bytes; larger initializers are read again each time, from the file where they are in one."""

_CONSTANT_TYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


class Constants(ConstantAnalysis):
    """Which values of a model are constant, and their arrays, computed by the reference."""

    def __init__(self, model: ir.Model) -> None:
        super().__init__(model)
        self._arrays: dict[ir.Value, NDArray[Any] | None] = {}

    def is_quantized(self, value: ir.Value) -> bool:
        """Whether a constant is computed from a quantized tensor."""
        return any(node.op_type in _QUANTIZERS for node in _ancestors(value))

    def why_not(self, value: ir.Value) -> str:
        """Why a value has no array, to follow its name in a sentence."""
        if self.is_overridable(value):
            return "may be overridden by the caller: it is a graph input with a default"
        if value.is_graph_input():
            return "is an input"
        producer = value.producer()
        return "is computed" if producer is None else f"is computed by {producer.op_type} '{producer.name}'"

    def array(self, value: ir.Value | None) -> NDArray[Any] | None:
        """The constant's array in its own type, or None where the value is not constant."""
        if value is None or not self.is_constant(value):
            return None
        if value in self._arrays:
            return self._arrays[value]
        tensor = value.const_value
        array = self._compute(value) if tensor is None else tensor.numpy()
        if tensor is None or tensor.nbytes <= _SMALL:
            self._arrays[value] = array
        return array

    def scalar(self, value: ir.Value | None) -> float | None:
        """The constant as a number, or None where it is not a constant of one element."""
        array = self.array(value)
        return float(array.reshape(()).astype(np.float64)) if array is not None and array.size == 1 else None

    def integers(self, value: ir.Value | None) -> list[int] | None:
        """A constant list of integers (axes, a shape), or None where the value is not constant."""
        array = self.array(value)
        return None if array is None else [int(item) for item in array.reshape(-1)]

    def _compute(self, value: ir.Value) -> NDArray[Any] | None:
        producer = value.producer()
        assert producer is not None
        if producer.op_type == "Constant":
            return _constant(producer)
        if producer.op_type in _RESHAPES and (reshaped := self._reshaped(producer)) is not None:
            return reshaped
        if value.dtype is None or (value.shape is not None and _elements(value.shape) > LARGEST):
            return None
        nodes = _ancestors(value)
        opsets = nodes[-1].graph.opset_imports if nodes[-1].graph is not None else {}
        graph = ir.GraphView([], [value], nodes=nodes, opset_imports=opsets or self._model.opset_imports)
        model = ir.Model(
            graph,  # type: ignore[arg-type]  # a view of the nodes is all that the evaluator reads
            ir_version=self._model.ir_version,
            functions=[*self._model.functions.values()],
        )
        check_budget()
        try:
            with spending(max(seconds_left(), _INSTANT) * _SHARE, _MOST_BYTES):
                result = Evaluator(model).run({})[str(value.name)]
        except (ModelError, UnsupportedOperator):
            return None
        return result.astype(value.dtype.numpy())

    def _reshaped(self, node: ir.Node) -> NDArray[Any] | None:
        """The result of a node that only changes its input's shape, where the new one is known."""
        array, shape = self.array(node.inputs[0]), node.outputs[0].shape
        sizes = () if shape is None else tuple(dim for dim in shape if isinstance(dim, int))
        if array is None or shape is None or len(sizes) != len(shape) or math.prod(sizes) != array.size:
            return None
        return array.reshape(sizes)


def _constant(node: ir.Node) -> NDArray[Any] | None:
    """What a Constant node holds; onnx_ir's own function renames the tensor of the model that was given."""
    attribute = next(iter(node.attributes.values()))
    if attribute.name == "value":
        return attribute.as_tensor().numpy()
    dtype = _CONSTANT_TYPES.get(attribute.name)
    return None if dtype is None else np.asarray(attribute.value, dtype)


def _elements(shape: ir.Shape) -> int:
    return int(np.prod([dim if isinstance(dim, int) else 1 for dim in shape], dtype=object))


def _ancestors(value: ir.Value) -> list[ir.Node]:
    """The nodes that compute a value, in topological order."""
    producer = value.producer()
    return [] if producer is None else upstream(producer, lambda node: producers(node.inputs))
