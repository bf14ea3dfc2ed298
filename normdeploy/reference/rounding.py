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
                size = inner * (deviation.relative * np.abs(array) + deviation.absolute)
                arguments[index] = array + self._uniform(array.shape) * size
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
        outputs = zip(call.node.outputs, results, deviations, strict=False)
        return [
            array
            if deviation is None or not is_floating(array.dtype)
            else self._stored(model, self._computed_in(value), array, deviation)
            for value, array, deviation in outputs
        ]

    def _computed_in(self, value: ir.Value) -> ir.DataType | None:
        return ir.DataType.DOUBLE if self._in_float64 else value.dtype

    def _stored(
        self, model: RoundingModel, dtype: ir.DataType | None, array: Array, deviation: Deviation
    ) -> Array:
        unit, inner = _roundoff(dtype), _inner_roundoff(dtype)
        disturbed = self._disturbed(
            array,
            unit + inner * deviation.relative,
            unit * SMALLEST_NORMAL.get(dtype or ir.DataType.FLOAT, 0.0) + inner * deviation.absolute,
        )
        if deviation.infinite is not None:
            disturbed[deviation.infinite & (self._rng.random(array.shape) < 0.5)] = np.inf
        if model.correctly_rounded:
            np.copyto(disturbed, array, where=_is_representable(array, dtype))
        return disturbed

    def _disturbed(self, array: Array, relative: float | Array, absolute: float | Array) -> Array:
        errors = self._uniform(array.shape)
        if array.ndim > 1:
            errors += self._uniform((*array.shape[:2], *[1] * (array.ndim - 2)))
            errors /= 2
        size = np.abs(array)
        size *= relative
        size += absolute
        errors *= size
        errors *= self._amplitude
        errors += array
        return np.asarray(errors)

    def _uniform(self, shape: tuple[int, ...]) -> Array:
        """In [−√3, √3): variance 1."""
        values = self._rng.random(shape, dtype=np.float32).astype(np.float64)
        values -= 0.5
        values *= 2 * math.sqrt(3)
        return values


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
