"""Rounding errors at random: what an arithmetic of lower precision may do to each operation.

Monte Carlo arithmetic (Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997; Denis, de Oliveira Castro &
Petit, "Verificarlo", ARITH 2016) computes a program several times, each time with random errors of the size
of rounding in every operation; the spread of its results is the effect of rounding on them, whatever
cancellation, amplification or saturation lies between. Here the operations are the nodes of a graph, the
exact result is float64, and the errors of a node are those of the best and of the usual implementations
(what an operator does stands at its definition, see `normdeploy.reference.rounding_model`):

- the result is stored in the tensor's type of unit roundoff u: relative error up to u, and absolute error up
  to u times the smallest normal number below that;
- what the operation itself does to its result, or what errors of its operands that have the same effect do.

Half of each result's error is common to a channel: rounding is not independent from one position to the next
where neighbours are equal, and then a mean over positions does not average it away. Weights are exact, since
they are stored in the type that the runtime reads; unless the result is compared with another file's, of
whose numbers these are roundings: see `normdeploy.reference.rounded_numbers`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.execution_plan import OperatorCall
from normdeploy.reference.quantized_softmax import quantizes_softmax, with_whole_inverse
from normdeploy.reference.rounded_numbers import (
    SMALLEST_NORMAL,
    UNIT_ROUNDOFF,
    RoundedNumbers,
    StorageErrors,
)
from normdeploy.reference.rounding_model import Deviation, RoundingModel

_STEP = 2 * math.sqrt(3) / 2**16
"""Of the errors, in units of their standard deviation: 16 random bits are enough for one."""

_PIECE = 2**13
"""Elements that are disturbed at a time."""


class RandomRounding:
    """Adds random errors of the size of rounding to a graph's operations.

    Args:
        seed: the same seed gives the same errors.
        amplitude: multiplies every error.
        numbers: those of the file that err by a rounding as well; none by default.
        in_float64: whether every operation errs as it does in float64, whatever types the tensors have: the
            errors of the reference itself.
    """

    def __init__(
        self,
        seed: int,
        amplitude: float = 1.0,
        *,
        numbers: RoundedNumbers | None = None,
        in_float64: bool = False,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._amplitude = amplitude
        self._in_float64 = in_float64
        self.stored = StorageErrors(seed, amplitude, numbers or RoundedNumbers())
        """The errors of numbers where they are read from the file."""

    def operands(self, call: OperatorCall, arguments: Sequence[Array | None]) -> list[Array | None]:
        """A node's inputs, with the errors that stand for others of its results.

        Args:
            call: of the node.
            arguments: its inputs; None for those left out.
        """
        arguments = list(arguments)
        if quantizes_softmax(call.node) and not self._in_float64 and self._rng.random() < 0.5:
            arguments = with_whole_inverse(arguments)
        operands = call.operator.rounding.operands
        if operands is None or not arguments or arguments[0] is None:
            return arguments
        inner = _inner_roundoff(self._computed_in(call.node.outputs[0])) * self._amplitude
        for index, deviation in enumerate(operands(call.keywords, arguments)):
            array = arguments[index] if index < len(arguments) else None
            if deviation is not None and array is not None and is_floating(array.dtype):
                arguments[index] = self._disturbed(
                    array, inner * deviation.relative, inner * deviation.absolute, blocks=deviation.blocks
                )
        return arguments

    def results(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> list[Array]:
        """A node's outputs, each with the error of its computation and of its storage.

        Args:
            call: of the node.
            arguments: its inputs, as they are for `operands`.
            results: its outputs, computed in float64 from what `operands` made of these.
        """
        model = call.operator.rounding
        if model.exact or not any(is_floating(array.dtype) for array in results):
            if call.node.op_type == "Constant":
                return [self.stored.tensor(call.node.outputs[0], results[0])]
            return list(results)
        deviations = list(model.results(call.keywords, arguments, results))
        deviations += deviations[-1:] * (len(results) - len(deviations))
        disturbed = list(results)
        outputs = zip(call.node.outputs, results, deviations, strict=False)
        for index, (value, array, deviation) in enumerate(outputs):
            if deviation is not None and is_floating(array.dtype):
                own = _own(array, [*arguments, *results[:index], *results[index + 1 :]])
                disturbed[index] = self._stored(model, self._computed_in(value), own, deviation)
        return disturbed

    def _computed_in(self, value: ir.Value) -> ir.DataType | None:
        return ir.DataType.DOUBLE if self._in_float64 else value.dtype

    def _stored(
        self, model: RoundingModel, dtype: ir.DataType | None, array: Array, deviation: Deviation
    ) -> Array:
        """The array itself, with errors."""
        exact = np.array(array) if model.correctly_rounded else None
        unit, inner = _roundoff(dtype) * self._amplitude, _inner_roundoff(dtype) * self._amplitude
        disturbed = self._disturbed(
            array,
            unit + inner * deviation.relative,
            unit * SMALLEST_NORMAL.get(dtype or ir.DataType.FLOAT, 0.0) + inner * deviation.absolute,
            channels=math.prod(array.shape[:2]) if array.ndim > 1 else 0,
            out=array,
        )
        if deviation.infinite is not None:
            disturbed[deviation.infinite & (self._rng.random(array.shape) < 0.5)] = np.inf
        if exact is not None:
            np.copyto(disturbed, exact, where=_is_representable(exact, dtype))
        return disturbed

    def _disturbed(
        self,
        array: Array,
        relative: float | Array,
        absolute: float | Array,
        channels: int = 0,
        out: Array | None = None,
        blocks: Sequence[int] | None = None,
    ) -> Array:
        """array + e · (relative · |array| + absolute), computed in pieces that stay in a processor's cache.

        Args:
            array: in float64.
            relative, absolute: standard deviations, which broadcast to it.
            channels: how many there are, of whose elements e has half of its size in common; 0 if e is of
                each element by itself.
            out: the array itself, where it may be written; a new one by default.
            blocks: see `Deviation`; without channels. The error has the sign of the element then, for terms
                of one sign to err alike.
        """
        rows = array.reshape(channels or array.size, -1) if array.size else array.reshape(0, 1)
        relative, absolute = (_in_rows(each, array.shape, rows) for each in (relative, absolute))
        own, step, common = self._steps(rows.size).reshape(rows.shape), _STEP, np.asarray(_STEP / 2)
        if channels:
            step, common = _STEP / 2, (_STEP * self._steps(channels).reshape(-1, 1) + _STEP) / 2
        elif blocks is not None and array.size:
            own = own + self._steps_of_blocks(array.shape, blocks).reshape(rows.shape)
            step, common = _STEP * math.sqrt(1 / 2), common * math.sqrt(1 / 2)
        disturbed = np.empty(rows.shape) if out is None else rows
        count = max(1, _PIECE // rows.shape[1])
        for begin in range(0, len(rows), count):
            piece = slice(begin, begin + count)
            size = np.abs(rows[piece]) if blocks is None else rows[piece].copy()
            size *= _part(relative, piece)
            size += _part(absolute, piece)
            error = own[piece] * step
            error += _part(common, piece)
            error *= size
            np.add(rows[piece], error, out=disturbed[piece])
        return disturbed.reshape(array.shape)

    def _steps_of_blocks(self, shape: Sequence[int], blocks: Sequence[int]) -> Array:
        """The same for each element of an array, those of one block alike.

        Their sum along an axis of blocks is 0: what is relative to the sum of all terms has its own error.
        """
        counts = [-(-size // block) for size, block in zip(shape, blocks, strict=True)]
        steps = self._steps(math.prod(counts)).reshape(counts).astype(np.float32)
        for axis, (block, count) in enumerate(zip(blocks, counts, strict=True)):
            if block > 1 and count > 2:
                steps -= steps.mean(axis=axis, keepdims=True)
                steps *= math.sqrt(count / (count - 1))
        for axis, (size, block) in enumerate(zip(shape, blocks, strict=True)):
            if block > 1:
                steps = np.repeat(steps, block, axis=axis)[(slice(None),) * axis + (slice(size),)]
        return steps

    def _steps(self, count: int) -> Array:
        """Numbers n, so that (n + 1/2) · _STEP is uniform in [−√3, √3], with variance 1."""
        words = self._rng.integers(0, 2**64, -(-count // 4), dtype=np.uint64)
        return words.view(np.int16)[:count]


def _own(array: Array, others: Sequence[Array | None]) -> Array:
    """A result that may be written, which is part of nothing else; a copy where it is."""
    shared = any(other is not None and np.may_share_memory(array, other) for other in others)
    if array.flags.c_contiguous and array.flags.writeable and not shared:
        return array
    return np.array(array, order="C")


def _in_rows(deviation: float | Array, shape: tuple[int, ...], rows: Array) -> Array:
    """The deviation for an array of this shape, as rows: one number, or one for each row or element."""
    deviation = np.asarray(deviation)
    if not deviation.ndim or not rows.size:
        return deviation
    deviation = deviation.reshape(*[1] * (len(shape) - deviation.ndim), *deviation.shape)
    if len(shape) > 2 and len(rows) == math.prod(shape[:2]) and deviation[:1, :1].size == 1:
        shape = (*shape[:2], *[1] * (len(shape) - 2))
    return np.broadcast_to(deviation, shape).reshape(len(rows), -1)


def _part(deviation: Array, piece: slice) -> Array:
    """Of those for each row or element, the rows of one piece."""
    return deviation[piece] if deviation.ndim else deviation


def _is_representable(array: Array, dtype: ir.DataType | None) -> Array:
    """Whether a type holds the results. Those in float64 already are, and exact where float32 holds them."""
    if dtype is None or dtype == ir.DataType.DOUBLE:
        dtype = ir.DataType.FLOAT
    with np.errstate(all="ignore"):
        return np.asarray(array == array.astype(dtype.numpy()).astype(np.float64))


def _roundoff(dtype: ir.DataType | None) -> float:
    return UNIT_ROUNDOFF.get(dtype or ir.DataType.FLOAT, UNIT_ROUNDOFF[ir.DataType.FLOAT])


def _inner_roundoff(dtype: ir.DataType | None) -> float:
    """Of the arithmetic inside an operator: runtimes sum half-precision numbers in float32."""
    return min(_roundoff(dtype), UNIT_ROUNDOFF[ir.DataType.FLOAT])
