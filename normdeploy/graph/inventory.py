"""What a model consists of: inputs, outputs, weights, operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.scopes import scopes, subgraphs
from normdeploy.graph.shapes import Dim, dims_of


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Args:
        name: its name.
        type: of its elements, float32 for example; else what it is, a sequence for example.
        dims: its shape; None where not even the rank is known.
    """

    name: str
    type: str
    dims: tuple[Dim, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "name": self.name,
            "type": self.type,
            "shape": None if self.dims is None else list(self.dims),
        }


@dataclass(frozen=True)
class Weights:
    """The initializers of one element type.

    Args:
        type: float32 for example.
        tensors: how many.
        elements: in all of them.
        bytes: that they take.
    """

    type: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class Inventory:
    """What a model consists of.

    Args:
        ir_version: of the file.
        opsets: domain -> version of the operator set, "" for the standard operators.
        inputs: those that a caller has to give.
        outputs: of the model.
        initializers: by element type, the largest first; those of subgraphs too.
        operators: see `count_operators`.
    """

    ir_version: int
    opsets: Mapping[str, int]
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    initializers: Sequence[Weights]
    operators: Mapping[str, int]

    @property
    def nodes(self) -> int:
        """How many there are, in subgraphs too."""
        return sum(self.operators.values())


def inventory(model: ir.Model) -> Inventory:
    """What a model consists of.

    Args:
        model: a loaded model; types and shapes are told as far as they were inferred.
    """
    return Inventory(
        ir_version=model.ir_version or 0,
        opsets=dict(sorted(model.opset_imports.items())),
        inputs=[_port(value) for value in required_inputs(model.graph)],
        outputs=[_port(value) for value in model.graph.outputs],
        initializers=_weights(model),
        operators=count_operators(model),
    )


def count_operators(model: ir.Model) -> dict[str, int]:
    """Operator -> number of its nodes, the most frequent first.

    Subgraphs count; bodies of functions do not, since a function is an operator itself. An operator that is
    not of the standard has its domain before it: normdeploy.IntraChannelLRN.
    """
    counts = Counter(_operator(node) for node in _computing(model.graph))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _computing(graph: ir.Graph) -> Iterator[ir.Node]:
    for node in graph:
        yield node
        for _, inner in subgraphs(node):
            yield from _computing(inner)


def _operator(node: ir.Node) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _port(value: ir.Value) -> Port:
    if value.dtype is not None and isinstance(value.type, ir.TensorType):
        kind = _type(value.dtype)
    else:
        kind = str(value.type) if value.type is not None else "unknown"
    return Port(str(value.name), kind, None if value.shape is None else dims_of(value.shape))


def _weights(model: ir.Model) -> list[Weights]:
    found: dict[str, list[tuple[int, int]]] = {}
    for scope in scopes(model):
        for value in scope.graph.initializers.values():
            tensor = value.const_value
            if tensor is not None:
                found.setdefault(_type(tensor.dtype), []).append((tensor.size, _bytes(tensor)))
    weights = [
        Weights(name, len(sizes), sum(size for size, _ in sizes), sum(taken for _, taken in sizes))
        for name, sizes in found.items()
    ]
    return sorted(weights, key=lambda item: (-item.bytes, item.type))


def _type(dtype: ir.DataType) -> str:
    return "string" if dtype == ir.DataType.STRING else dtype.numpy().name


def _bytes(tensor: ir.TensorProtocol) -> int:
    if tensor.dtype == ir.DataType.STRING:
        return sum(map(len, tensor.numpy().flat))
    return tensor.nbytes
