"""How near a step that only moves data comes to the speed of the memory: the roofline model's slanted part.

Normalization does a few operations per element, far fewer than a GPU can do in the time that it takes to
move that element (Williams, Waterman & Patterson 2009), so its floor is the bytes that it cannot avoid moving
over the bandwidth of the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.graph.inference import infer


@dataclass(frozen=True)
class Roofline:
    """The least time that moving the data takes.

    Args:
        bytes_moved: each element that comes in, and each that goes out, once.
        floor_ms: bytes_moved / bandwidth, in milliseconds.
        share: floor_ms / measured: 1 at the memory's speed, small where time goes elsewhere. It can exceed 1
            where the data stays in a cache.
    """

    bytes_moved: int
    floor_ms: float
    share: float


def roofline(bytes_moved: int, bytes_per_second: float, measured_ms: float) -> Roofline:
    """The roofline of a step.

    Args:
        bytes_moved: see `bytes_moved`.
        bytes_per_second: of the memory, read and written together.
        measured_ms: what the step took.
    """
    floor_ms = bytes_moved / bytes_per_second * 1000
    return Roofline(bytes_moved, floor_ms, floor_ms / measured_ms)


def bytes_moved(nodes: Sequence[ir.Node]) -> int | None:
    """The bytes of all tensors that enter nodes from elsewhere, and of those that leave them.

    A tensor that one of them computes and no other node uses never has to reach the memory.

    Args:
        nodes: of one graph, with types and shapes. The elements' types are the model's; a fraction of a byte
            counts as a byte.

    Returns:
        None where a type or a size is not known.
    """
    inside = {id(node) for node in nodes}
    entering = {
        id(value): value
        for node in nodes
        for value in node.inputs
        if value is not None and id(value.producer()) not in inside
    }
    leaving = [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(id(user) not in inside for user, _ in value.uses())
    ]
    sizes = [_nbytes(value) for value in (*entering.values(), *leaving)]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def with_input_shapes(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> ir.Model:
    """A copy of a model whose inputs have these shapes, and its other tensors what follows from them.

    Args:
        model: it is not changed.
        shapes: by the inputs' names. A named size is that number wherever the name stands.
    """
    copy = model.clone()
    sizes: dict[str, int] = {}
    for value in copy.graph.inputs:
        if value.name is not None and value.name in shapes:
            for dim, size in zip(value.shape or (), shapes[value.name], strict=False):
                if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                    sizes[dim.value] = size
            value.shape = ir.Shape(shapes[value.name])
    for value in (*(value for node in copy.graph for value in node.outputs), *copy.graph.outputs):
        if value.shape is not None:
            value.shape = ir.Shape([_size(dim, sizes) for dim in value.shape])
    infer(copy)
    return copy


def _size(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | None:
    """A dimension as a number; None where it has no name that tells one."""
    if isinstance(dim, int):
        return dim
    return sizes.get(dim.value) if dim.value is not None else None


def _nbytes(value: ir.Value) -> int | None:
    if value.dtype is None or value.shape is None or not value.shape.is_static():
        return None
    elements = 1
    for size in value.shape.numpy():
        elements *= size
    return -(-elements * value.dtype.bitwidth // 8)
