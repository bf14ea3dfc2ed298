"""Operators that move elements or read shapes, on formulas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.graph.shapes import SLICE_TO_END, dims_of
from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.axis_map import Length
from normdeploy.passes.lrn.interpreter import Formula, Interpreter, Lengths, Rule
from normdeploy.passes.lrn.window_sums import WindowSums, concatenated, reshape
from normdeploy.passes.report import Refused


def _transpose(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is None:
        return None
    order = node.attributes.get_ints("perm", tuple(reversed(range(len(sums.dimensions)))))
    return sums.permuted(order)


def _reshape(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    if isinstance(formula, Lengths) and len(formula.values) == 1:
        return formula
    target = _lengths(interpreter, node, 1, "shape") or _declared(node)
    if not isinstance(formula, WindowSums) or target is None:
        return None
    if not node.attributes.get_int("allowzero", 0):
        target = [formula.shape[index] if length == 0 else length for index, length in enumerate(target)]
    return reshape(formula, target, interpreter.shape)


def _declared(node: ir.Node) -> list[Length] | None:
    """The lengths that the model states for a node's result, if all have a number or a name."""
    dims = dims_of(node.outputs[0].shape or ())
    known = [dim for dim in dims if dim is not None]
    return known if known and len(known) == len(dims) else None


def _lengths(interpreter: Interpreter, node: ir.Node, index: int, attribute: str) -> list[Length] | None:
    """The lengths, or numbers, that a node's input or attribute lists; None where they are not known."""
    formula = interpreter.input(node, index)
    if isinstance(formula, Lengths):
        return list(formula.values)
    integers = interpreter.integers(node, index, attribute)
    return None if integers is None else [*integers]


def _numbers(interpreter: Interpreter, node: ir.Node, index: int, attribute: str) -> list[int] | None:
    """The same, where all are numbers."""
    lengths = _lengths(interpreter, node, index, attribute)
    if lengths is None or any(isinstance(length, str) for length in lengths):
        return None
    return [int(length) for length in lengths]


def _squeeze(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    if not isinstance(formula, WindowSums):
        return formula if isinstance(formula, Lengths) else None
    axes = interpreter.integers(node, 1, "axes")
    rank = len(formula.dimensions)
    if axes is None:
        axes = [index for index, length in enumerate(formula.shape) if length == 1]
    for axis in sorted((axis % rank for axis in axes), reverse=True):
        formula = formula.dropped(axis)
    return formula


def _unsqueeze(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    if not isinstance(formula, WindowSums):
        return formula if isinstance(formula, Lengths) else None
    axes = interpreter.integers(node, 1, "axes")
    if axes is None:
        return None
    rank = len(formula.dimensions) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        formula = formula.inserted(axis)
    return formula


def _slice(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    starts, ends = _numbers(interpreter, node, 1, "starts"), _numbers(interpreter, node, 2, "ends")
    if starts is None or ends is None or formula is None:
        return None
    axes = interpreter.integers(node, 3, "axes") or list(range(len(starts)))
    steps = interpreter.integers(node, 4, "steps") or [1] * len(starts)
    if isinstance(formula, Lengths):
        return Lengths(formula.values[starts[0] : ends[0] : steps[0]])
    if not isinstance(formula, WindowSums):
        return None
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step != 1:
            raise Refused(f"it takes every {step}. element only")
        formula = _cut(formula, axis % len(formula.dimensions), start, end)
    return formula


def _cut(sums: WindowSums, index: int, start: int, end: int) -> WindowSums:
    """Elements start to end of a dimension, numbers below 0 counted from its end."""
    length = sums.shape[index]
    if isinstance(length, int):
        start, end, _ = slice(start, end).indices(length)
        return sums.padded(index, -start, max(end, start) - length)
    if start < 0 or 0 <= end < SLICE_TO_END:
        raise Refused(f"it counts from an end of a dimension of length {length}")
    return sums.padded(index, -start, 0 if end >= SLICE_TO_END else end)


def _split(interpreter: Interpreter, node: ir.Node, output: int) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is None:
        return None
    index = node.attributes.get_int("axis", 0) % len(sums.dimensions)
    length = sums.shape[index]
    if not isinstance(length, int):
        return None
    sizes = interpreter.integers(node, 1, "split")
    if sizes is None:
        sizes = [-(-length // len(node.outputs))] * len(node.outputs)  # the last one is cut off
    start = sum(sizes[:output])
    return _cut(sums, index, start, start + sizes[output])


def _gather(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula, indices = interpreter.input(node, 0), interpreter.constants.array(node.inputs[1])
    if indices is None:
        return None
    if isinstance(formula, Lengths):
        return Lengths(tuple(formula.values[int(index)] for index in indices.reshape(-1)))
    if not isinstance(formula, WindowSums) or indices.ndim != 1:
        return None
    index = node.attributes.get_int("axis", 0) % len(formula.dimensions)
    length = formula.shape[index]
    if not isinstance(length, int):
        return None
    chosen = np.eye(length)[indices.astype(int)]
    return formula.with_map(index, lambda old, n: axis_map.transform(old, n, chosen))


def _concat(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    if any(isinstance(interpreter.input(node, index), Lengths) for index in range(len(node.inputs))):
        listed = [_lengths(interpreter, node, index, "value") for index in range(len(node.inputs))]
        return None if None in listed else Lengths(tuple(length for part in listed for length in part or ()))
    parts = [interpreter.window_sums(node, index) for index in range(len(node.inputs))]
    rank = next((len(part.dimensions) for part in parts if part is not None), None)
    if rank is None:
        return None
    axis = node.attributes.get_int("axis", 0) % rank
    parts_or_zeros: list[WindowSums | int] = []
    for part, value in zip(parts, node.inputs, strict=True):
        if part is not None:
            parts_or_zeros.append(part)
            continue
        zeros = interpreter.constants.array(value)
        if zeros is None or zeros.ndim != rank or zeros.any():
            return None
        parts_or_zeros.append(zeros.shape[axis])
    return concatenated(parts_or_zeros, axis)


def _shape(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is None:
        return None
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", SLICE_TO_END)
    return Lengths(tuple(sums.shape[start:end]))


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
