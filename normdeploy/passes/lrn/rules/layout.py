"""Operators that move elements or read shapes, on meanings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.passes.lrn import axis_map as along
from normdeploy.passes.lrn.axis_map import Dim
from normdeploy.passes.lrn.interpreter import Dims, Interpreter, Meaning, Rule
from normdeploy.passes.lrn.window_sums import WindowSums, concatenated, reshape
from normdeploy.passes.report import Refused

_END = 2**31 - 1
"""Ends of a Slice from here on mean: to the end."""


def _transpose(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    field = context.window_sums(node)
    if field is None:
        return None
    order = node.attributes.get_ints("perm", tuple(reversed(range(len(field.dimensions)))))
    return field.permuted(order)


def _reshape(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    if isinstance(meaning, Dims) and len(meaning.values) == 1:
        return meaning
    target = _dims(context, node, 1, "shape") or _declared(node)
    if not isinstance(meaning, WindowSums) or target is None:
        return None
    if not node.attributes.get_int("allowzero", 0):
        target = [meaning.shape[index] if dim == 0 else dim for index, dim in enumerate(target)]
    return reshape(meaning, target, context.shape)


def _declared(node: ir.Node) -> list[Dim] | None:
    """The dimensions that the model states for a node's result, if all have a number or a name."""
    dims = [dim if isinstance(dim, int) else dim.value for dim in node.outputs[0].shape or ()]
    known = [dim for dim in dims if dim is not None]
    return known if known and len(known) == len(dims) else None


def _dims(context: Interpreter, node: ir.Node, index: int, attribute: str) -> list[Dim] | None:
    meaning = context.input(node, index)
    if isinstance(meaning, Dims):
        return list(meaning.values)
    integers = context.integers(node, index, attribute)
    return None if integers is None else [*integers]


def _numbers(context: Interpreter, node: ir.Node, index: int, attribute: str) -> list[int] | None:
    dims = _dims(context, node, index, attribute)
    return None if dims is None or any(isinstance(dim, str) for dim in dims) else [int(dim) for dim in dims]


def _squeeze(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    if not isinstance(meaning, WindowSums):
        return meaning if isinstance(meaning, Dims) else None
    axes = context.integers(node, 1, "axes")
    rank = len(meaning.dimensions)
    if axes is None:
        axes = [index for index, dim in enumerate(meaning.shape) if dim == 1]
    for axis in sorted((axis % rank for axis in axes), reverse=True):
        meaning = meaning.dropped(axis)
    return meaning


def _unsqueeze(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    if not isinstance(meaning, WindowSums):
        return meaning if isinstance(meaning, Dims) else None
    axes = context.integers(node, 1, "axes")
    if axes is None:
        return None
    rank = len(meaning.dimensions) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        meaning = meaning.inserted(axis)
    return meaning


def _slice(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    starts, ends = _numbers(context, node, 1, "starts"), _numbers(context, node, 2, "ends")
    if starts is None or ends is None or meaning is None:
        return None
    axes = context.integers(node, 3, "axes") or list(range(len(starts)))
    steps = context.integers(node, 4, "steps") or [1] * len(starts)
    if isinstance(meaning, Dims):
        return Dims(meaning.values[starts[0] : ends[0] : steps[0]])
    if not isinstance(meaning, WindowSums):
        return None
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step != 1:
            raise Refused(f"it takes every {step}. element only")
        meaning = _cut(meaning, axis % len(meaning.dimensions), start, end)
    return meaning


def _cut(field: WindowSums, index: int, start: int, end: int) -> WindowSums:
    """Elements start to end of a dimension, numbers below 0 counted from its end."""
    length = field.shape[index]
    if isinstance(length, int):
        start, end, _ = slice(start, end).indices(length)
        return field.padded(index, -start, max(end, start) - length)
    if start < 0 or 0 <= end < _END:
        raise Refused(f"it counts from an end of a dimension of length {length}")
    return field.padded(index, -start, 0 if end >= _END else end)


def _split(context: Interpreter, node: ir.Node, output: int) -> Meaning | None:
    field = context.window_sums(node)
    if field is None:
        return None
    index = node.attributes.get_int("axis", 0) % len(field.dimensions)
    length = field.shape[index]
    if not isinstance(length, int):
        return None
    sizes = context.integers(node, 1, "split")
    if sizes is None:
        part = -(-length // len(node.outputs))
        sizes = [min(part, length - part * number) for number in range(len(node.outputs))]
    start = sum(sizes[:output])
    return _cut(field, index, start, start + sizes[output])


def _gather(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning, indices = context.input(node, 0), context.constants.array(node.inputs[1])
    if indices is None:
        return None
    if isinstance(meaning, Dims):
        return Dims(tuple(meaning.values[int(index)] for index in indices.reshape(-1)))
    if not isinstance(meaning, WindowSums) or indices.ndim != 1:
        return None
    index = node.attributes.get_int("axis", 0) % len(meaning.dimensions)
    length = meaning.shape[index]
    if not isinstance(length, int):
        return None
    chosen = np.eye(length)[indices.astype(int)]
    return meaning.along(index, lambda axis, n: along.transform(axis, n, chosen))


def _concat(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    if any(isinstance(context.input(node, index), Dims) for index in range(len(node.inputs))):
        parts = [_dims(context, node, index, "value") for index in range(len(node.inputs))]
        return None if None in parts else Dims(tuple(dim for part in parts for dim in part or ()))
    fields: list[WindowSums | int] = []
    rank = next(len(f.dimensions) for i in range(len(node.inputs)) if (f := context.window_sums(node, i)))
    axis = node.attributes.get_int("axis", 0) % rank
    for index, value in enumerate(node.inputs):
        field = context.window_sums(node, index)
        if field is None:
            zeros = context.constants.array(value)
            if zeros is None or zeros.ndim != rank or zeros.any():
                return None
            fields.append(zeros.shape[axis])
        else:
            fields.append(field)
    return concatenated(fields, axis)


def _shape(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    field = context.window_sums(node)
    if field is None:
        return None
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", _END)
    return Dims(tuple(field.shape[start:end]))


RULES: Mapping[str, Rule] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Concat": _concat,
    "Shape": _shape,
}
