"""Rounding errors at random: what an arithmetic of lower precision may do to each operation.

Monte Carlo arithmetic (Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997; Denis, de Oliveira Castro &
Petit, "Verificarlo", ARITH 2016) computes a program several times, each time with random errors of the size
of rounding in every operation; the spread of its results is the effect of rounding on them, whatever
cancellation, amplification or saturation lies between. Here the operations are the nodes of a graph, the
exact result is float64, and the errors of a node are those of the best and of the usual implementations
(which of these an operator makes stands at its definition, see `normdeploy.reference.rounding_model`):

- its result is stored in the tensor's type of unit roundoff u: relative error up to u, and absolute
  error up to u times the smallest normal number below that;
- functions that runtimes approximate (Exp, Tanh, Softmax, ...) err by a few u, and those with a bounded
  range by a few u absolutely;
- a sum of n terms in order makes an error of variance u²/3 · Σ_k s_k², s_k its partial sums (Higham,
  "Accuracy and Stability of Numerical Algorithms", 2002, section 4.2, with rounding errors independent).
  Taking s_k to drift to the sum S while it walks at random, s_k = k/n · S + √k · t with t the root mean
  square of the terms, gives a standard deviation of u·√n · (0.33·|S| + 0.41·√(Σ terms²)). The first part
  is an error of the result, the second is what an error of 0.41·u·√n in each operand makes of it;
- where the terms are the same number again and again (a mean over a plain background), rounding repeats
  itself too and errors add up: half of the steps lie in the last binade of the partial sums, where each
  errs by the same amount, uniform in ±u·S: 0.2·u·n·S. Sums without weights are given that error, up to
  512 terms: a compromise. A runtime that sums thousands of equal terms one by one errs more, with 4096 terms
  still within the 4.3 standard deviations that a verdict allows; where it sums in parts it errs less, and
  more room would hide defects.

Half of each error is common to a channel: rounding is not independent from one position to the next where
neighbours are equal, and then a mean over positions does not average it away. Weights are exact, since they
are stored in the type that the runtime reads; unless the result is compared with another file's, of whose
numbers these are roundings: see `normdeploy.reference.rounded_numbers`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.execution_plan import OperatorCall
from normdeploy.reference.rounded_numbers import (
    SMALLEST_NORMAL,
    UNIT_ROUNDOFF,
    RoundedNumbers,
    StorageErrors,
)
from normdeploy.reference.rounding_model import RoundingModel

_SHARE_OF_SUM = 0.33
_SHARE_OF_TERMS = 0.41
_SHARE_OF_REPEATED_TERMS = 0.2
_LONGEST_CHAIN = 512
"""The numbers of the text above, which derives them; tests/reference/test_rounding.py measures them."""


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
        """A node's inputs, the first (or all) with the error that inner sums make of it.

        Args:
            call: of the node.
            arguments: its inputs; None for those left out.
        """
        node, model = call.node, call.operator.rounding
        arguments = list(arguments)
        first = arguments[0] if arguments else None
        if first is None or not is_floating(first.dtype):
            return arguments
        terms, error = model.count_terms(call.keywords, arguments), 0.0
        if terms > 1 or model.cancels:
            error = max(1.0, _SHARE_OF_TERMS * math.sqrt(terms)) * _inner_roundoff(
                self._computed_in(node.outputs[0])
            )
        if error:
            arguments[0] = self._disturbed(first, error)
        if error and model.every_operand:
            arguments[1:] = [
                array if array is None else self._disturbed(array, error) for array in arguments[1:]
            ]
        return arguments

    def results(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> list[Array]:
        """A node's outputs, each with the error of its computation and of its storage.

        Args:
            call: of the node.
            arguments: its inputs, as `operands` gave them back.
            results: its outputs, computed from these in float64.
        """
        model = call.operator.rounding
        if model.exact:
            if call.node.op_type == "Constant":
                return [self.stored.tensor(call.node.outputs[0], results[0])]
            return list(results)
        terms = model.count_terms(call.keywords, arguments)
        steps = model.count_steps(call.keywords, arguments)
        outputs = zip(call.node.outputs, results, strict=False)
        disturbed = [
            self._stored(model, self._computed_in(value), array, terms, steps) for value, array in outputs
        ]
        if model.running_sum and arguments[0] is not None:
            disturbed[0] = self._disturbed(
                disturbed[0],
                _running_sum_error(call, arguments[0], results[0], self._computed_in(call.node.outputs[0])),
            )
        return disturbed

    def _computed_in(self, value: ir.Value) -> ir.DataType | None:
        return ir.DataType.DOUBLE if self._in_float64 else value.dtype

    def _stored(
        self, model: RoundingModel, dtype: ir.DataType | None, array: Array, terms: int, steps: int
    ) -> Array:
        if not is_floating(array.dtype):
            return array
        unit, inner = _roundoff(dtype), _inner_roundoff(dtype)
        of_sum = _SHARE_OF_SUM * math.sqrt(terms) if terms > 1 else 0.0
        relative = unit + inner * (model.ulps + of_sum)
        if model.plain_sum:
            relative += inner * _SHARE_OF_REPEATED_TERMS * min(terms, _LONGEST_CHAIN)
        relative *= math.sqrt(steps)
        absolute = unit * SMALLEST_NORMAL.get(dtype or ir.DataType.FLOAT, 0.0)
        absolute += inner * model.absolute_ulps * math.sqrt(steps)
        disturbed = self._disturbed(array, relative, absolute)
        if model.correctly_rounded:
            np.copyto(disturbed, array, where=_is_representable(array, dtype))
        return disturbed

    def _disturbed(self, array: Array, relative: float | Array, absolute: float = 0.0) -> Array:
        relative, absolute = relative * self._amplitude, absolute * self._amplitude
        errors = self._uniform(array.shape)
        if array.ndim > 1:
            errors += self._uniform((*array.shape[:2], *[1] * (array.ndim - 2)))
            errors /= 2
        if not absolute:
            errors *= relative
            errors += 1
            errors *= array
            return errors
        size = np.abs(array)
        size *= relative
        size += absolute
        errors *= size
        errors += array
        return errors

    def _uniform(self, shape: tuple[int, ...]) -> Array:
        """In [−√3, √3): variance 1."""
        values = self._rng.random(shape, dtype=np.float32).astype(np.float64)
        values -= 0.5
        values *= 2 * math.sqrt(3)
        return values


def _running_sum_error(call: OperatorCall, x: Array, y: Array, dtype: ir.DataType | None) -> Array:
    """Relative error of LRN where its window slides over the channels.

    A runtime that adds the next square and takes off the last errs by the size of the sum in each of C
    steps, so a small sum keeps the error of a large one before it: β·u·√(C/4)·(largest base over the
    channels)/base, where the base of the power is (x/y)^(1/β).
    """
    beta = call.keywords.get("beta", 0.75)
    with np.errstate(all="ignore"):
        base = np.abs(x / y) ** (1 / beta)
        share = np.max(base, axis=1, keepdims=True, initial=0.0, where=np.isfinite(base)) / base
    steps = math.sqrt(x.shape[1] / 4)
    error: Array = np.nan_to_num(beta * steps * _inner_roundoff(dtype) * share, posinf=0.0)
    return error


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
