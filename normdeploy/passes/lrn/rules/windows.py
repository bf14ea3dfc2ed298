"""Operators that pad and sum over windows, on formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.interpreter import Formula, Interpreter, Rule
from normdeploy.passes.lrn.window_sums import WindowSums
from normdeploy.passes.report import Refused


def _pad(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is None:
        return None
    mode = node.attributes.get_string("mode", "constant")
    given = node.inputs[2] if len(node.inputs) > 2 else None
    value = node.attributes.get_float("value", 0.0) if given is None else interpreter.constants.scalar(given)
    if mode != "constant" or value != 0:
        raise Refused(f"it pads with {value if mode == 'constant' else mode!r}, not with zeros")
    pads, rank = interpreter.integers(node, 1, "pads"), len(sums.dimensions)
    axes: Sequence[int] | None = range(rank)
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        axes = interpreter.integers(node, 3, "axes")
    if pads is None or axes is None:
        raise Refused("its pads are computed")
    for position, axis in enumerate(axes):
        sums = sums.padded(axis % rank, pads[position], pads[position + len(axes)])
    return sums


def _correlated(sums: WindowSums, index: int, weights: tuple[float, ...]) -> WindowSums:
    """Weighted sums over windows along a dimension; a window of one element has the weight 1."""
    if len(weights) == 1:
        return sums
    return sums.with_map(index, lambda old, n: axis_map.correlate(old, n, weights))


def _padded_for_kernel(node: ir.Node, sums: WindowSums, kernel: Sequence[int]) -> tuple[WindowSums, bool]:
    """The input of a pool or convolution with its padding, and whether there is any.

    Args:
        node: the pool or convolution.
        sums: its input.
        kernel: the kernel's shape.

    Raises:
        Refused: strides or dilations.
    """
    attributes = node.attributes
    for name in ("strides", "dilations"):
        given = attributes.get_ints(name, ())
        if any(item != 1 for item in given):
            raise Refused(f"it has {name} {list(given)}")
    pads = list(attributes.get_ints("pads", (0,) * (2 * len(kernel))))
    auto_pad = attributes.get_string("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        small, large = [(size - 1) // 2 for size in kernel], [size // 2 for size in kernel]
        pads = [*large, *small] if auto_pad == "SAME_LOWER" else [*small, *large]
    for index in range(len(kernel)):
        sums = sums.padded(index + 2, pads[index], pads[index + len(kernel)])
    return sums, any(pads)


def _average_pool(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is None:
        return None
    kernel = node.attributes.get_ints("kernel_shape", ())
    sums, has_padding = _padded_for_kernel(node, sums, kernel)
    if has_padding and not node.attributes.get_int("count_include_pad", 0):
        raise Refused("it divides by the number of elements inside the border only")
    for index, size in enumerate(kernel):
        sums = _correlated(sums, index + 2, (1.0,) * size)
    return sums.scaled(1 / float(np.prod(kernel)))


def _conv(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums, weight = interpreter.window_sums(node), interpreter.constants.array(node.inputs[1])
    if sums is None:
        return None
    if weight is None:
        raise Refused("its weights are computed")
    values = weight.astype(np.float64)
    mixing, kernel, factor = _box(values)
    sums, _has_padding = _padded_for_kernel(node, sums, kernel.shape)
    sums = _mixed_channels(sums, mixing, node.attributes.get_int("group", 1))
    for index in range(kernel.ndim):
        line = kernel.any(axis=tuple(other for other in range(kernel.ndim) if other != index))
        sums = _correlated(sums, index + 2, tuple(line.astype(float).tolist()))
    sums = sums.scaled(factor)
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return sums
    bias = interpreter.constants.array(node.inputs[2])
    if bias is None or np.ptp(bias.astype(np.float64)):
        raise Refused("its bias differs from channel to channel")
    return sums.plus_constant(float(bias[0]))


def _box(weight: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """weight[m, c, ...] = factor · mixing[m, c] · kernel[...], the two 0 or 1, the kernel a box.

    Raises:
        Refused: it is not of this form.
    """
    taken = weight != 0
    values = np.unique(weight[taken])
    if values.size != 1:
        raise Refused(f"its weights are not all equal: {values.size} different ones")
    mixing = taken.any(axis=tuple(range(2, weight.ndim)))  # (M, C/group)
    kernel = taken.any(axis=(0, 1))  # (k...)
    shape = (*mixing.shape, *[1] * kernel.ndim)
    if not np.array_equal(mixing.reshape(shape) & kernel, taken):
        raise Refused("its window differs from channel to channel")
    box = np.ones_like(kernel)
    for index in range(kernel.ndim):
        line = kernel.any(axis=tuple(other for other in range(kernel.ndim) if other != index))
        box &= line.reshape([-1 if other == index else 1 for other in range(kernel.ndim)])
    if not np.array_equal(box, kernel):
        raise Refused("its window is not a box")
    return mixing, kernel, float(values[0])


def _mixed_channels(sums: WindowSums, mixing: NDArray[np.bool_], group: int) -> WindowSums:
    """The sums over channels that a convolution makes, mixing (M, C/group) within each group."""
    outputs, inputs = mixing.shape
    if inputs == 1 and outputs == group and mixing.all():
        return sums
    matrix = np.zeros((outputs, inputs * group))  # (M, C), block diagonal
    per_group = outputs // group
    for number in range(group):
        span = slice(number * per_group, (number + 1) * per_group)
        matrix[span, number * inputs : (number + 1) * inputs] = mixing[span]
    if np.array_equal(matrix, np.eye(*matrix.shape)):
        return sums
    return sums.with_map(1, lambda old, n: axis_map.transform(old, n, matrix))


def _reduce(interpreter: Interpreter, node: ir.Node, *, mean: bool, square: bool) -> Formula | None:
    sums = interpreter.window_sums(node)
    if sums is not None and square:
        sums = sums.squared()
    if sums is None:
        return None
    axes, rank = interpreter.integers(node, 1, "axes"), len(sums.dimensions)
    if not axes:
        return None
    axes = sorted((axis % rank for axis in axes), reverse=True)
    for axis in axes:
        length = sums.shape[axis]
        if not isinstance(length, int) or length > axis_map.LONGEST:
            return None
        sums = sums.with_map(axis, axis_map.total).scaled(1 / length if mean else 1)
    if not node.attributes.get_int("keepdims", 1):
        for axis in axes:
            if sums.dimensions[axis].axes:
                return None
            sums = sums.dropped(axis)
    return sums


def _reduce_sum(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _reduce(interpreter, node, mean=False, square=False)


def _reduce_mean(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _reduce(interpreter, node, mean=True, square=False)


def _reduce_sum_square(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _reduce(interpreter, node, mean=False, square=True)


def _cumsum(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    sums, axis = interpreter.window_sums(node), interpreter.constants.scalar(node.inputs[1])
    if sums is None or axis is None:
        return None
    exclusive = bool(node.attributes.get_int("exclusive", 0))
    reverse = bool(node.attributes.get_int("reverse", 0))
    index = int(axis) % len(sums.dimensions)
    return sums.with_map(
        index, lambda old, n: axis_map.running_sum(old, n, exclusive=exclusive, reverse=reverse)
    )


RULES: Mapping[str, Rule] = {
    "Pad": _pad,
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ReduceSum": _reduce_sum,
    "ReduceMean": _reduce_mean,
    "ReduceSumSquare": _reduce_sum_square,
    "CumSum": _cumsum,
}
