"""How reductions and cumulative sums and products err."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.repeated_terms import equal_neighbours, repeated_terms
from normdeploy.reference.rounding_model import (
    SHARE_OF_REPEATED_TERMS,
    Deviation,
    Keywords,
    RoundingModel,
    in_blocks,
    relative_to_sum,
    relative_to_terms,
)

_LARGEST, _SMALLEST = 3.4e38, 1.2e-38
"""Normal numbers of float32, in which kernels multiply."""

_LOST = 2.0**24
"""A relative error of 1, in u."""


def reduced_axes(keywords: Keywords, inputs: Sequence[Any]) -> tuple[int, ...]:
    """The axes of a reduction, which are an attribute or an input.

    Args:
        keywords: without axes, all of them; or none with noop_with_empty_axes.
        inputs: of the node.
    """
    axes = keywords.get("axes") or ()
    if len(inputs) > 1 and inputs[1] is not None:
        axes = inputs[1].ravel().tolist()
    if not axes and not keywords.get("noop_with_empty_axes", 0):
        axes = range(inputs[0].ndim)
    return tuple(axes)


def reduced_terms(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """How many elements become one."""
    return int(max(1, math.prod(inputs[0].shape[axis] for axis in reduced_axes(keywords, inputs))))


def _of_sum(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array], terms: Callable[[Array], Array]
) -> Array:
    """The error relative to the sum of what `terms` makes of x."""
    repeated = repeated_terms(terms(inputs[0]), reduced_axes(keywords, inputs)).reshape(outputs[0].shape)
    return np.asarray(relative_to_sum(reduced_terms(keywords, inputs), repeated))


def _itself(x: Array) -> Array:
    return x


def _exponential(x: Array) -> Array:
    return np.asarray(np.exp(x - x.max(initial=-np.inf)))


def _reduction(
    relative: float, absolute: float, *, operands: float = 1.0, terms: Callable[[Array], Array] = _itself
) -> RoundingModel:
    """A function of a sum.

    Args:
        relative, absolute: what a relative error of the sum is to the result.
        operands: the error of an operand that a term's relative error is; 0 where the terms cannot cancel.
        terms: x -> what is added; its sign does not matter.
    """

    def results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
        error = _of_sum(keywords, inputs, outputs, terms)
        return (Deviation(1.0 + relative * error, absolute * (1.0 + error)),)

    def of_operands(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
        ndim = inputs[0].ndim
        axes = sorted(axis % ndim for axis in reduced_axes(keywords, inputs))
        summed = {axis: int(inputs[0].shape[axis]) for axis in axes}
        relative = operands * relative_to_terms(reduced_terms(keywords, inputs))
        return (Deviation(relative, blocks=in_blocks(ndim, summed)),)

    return RoundingModel(results, of_operands if operands else None)


SUM = _reduction(1.0, 0.0)
"""ReduceSum and ReduceMean."""

L1 = _reduction(1.0, 0.0, terms=np.abs)

SUM_OF_SQUARES = _reduction(1.0, 0.0, operands=0.5, terms=np.abs)

L2 = _reduction(0.5, 0.0, operands=0.5, terms=np.abs)

LOG_OF_SUM = _reduction(0.0, 1.0)

LOG_OF_SUM_OF_EXPONENTIALS = _reduction(0.0, 1.0, operands=0.0, terms=_exponential)
"""max + log Σ exp(x − max)."""


def _product(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """A rounding for each factor. In an order that overflows or underflows the product is infinite or 0."""
    (y,) = outputs
    factors = np.log(np.abs(inputs[0]), where=inputs[0] != 0, out=np.zeros(inputs[0].shape))
    axes = reduced_axes(keywords, inputs)
    large = np.maximum(factors, 0).sum(axis=axes).reshape(y.shape) > math.log(_LARGEST)
    small = np.minimum(factors, 0).sum(axis=axes).reshape(y.shape) < math.log(_SMALLEST)
    return (Deviation(math.sqrt(reduced_terms(keywords, inputs)) + _LOST * small, infinite=large & (y != 0)),)


PRODUCT = RoundingModel(_product)


def _along(keywords: Keywords, inputs: Sequence[Any], values: Array, combine: np.ufunc = np.add) -> Array:
    """What values up to each element combine to, in the order of the operator."""
    axis = int(inputs[1].item())
    if keywords.get("reverse", 0):
        return np.asarray(np.flip(combine.accumulate(np.flip(values, axis), axis=axis), axis))
    return np.asarray(combine.accumulate(values, axis=axis))


def _cumulative_sum(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
) -> Sequence[Deviation]:
    """Each partial sum is a result, whose rounding the sums after it keep."""
    errors = 1.5 * np.sqrt(_along(keywords, inputs, np.square(outputs[0])))
    axis = int(inputs[1].item())
    alike = np.moveaxis(equal_neighbours(np.moveaxis(inputs[0], axis, -1)), -1, axis)
    repeated = SHARE_OF_REPEATED_TERMS * _along(keywords, inputs, alike)
    return (Deviation(repeated, errors),)


CUMULATIVE_SUM = RoundingModel(_cumulative_sum)


def _cumulative_product(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
) -> Sequence[Deviation]:
    """As of products; all partial ones are results."""
    size = np.abs(outputs[0])
    factors = np.sqrt(_along(keywords, inputs, np.ones(size.shape)))
    small = _along(keywords, inputs, size, np.minimum) < _SMALLEST
    large = _along(keywords, inputs, size, np.maximum) > _LARGEST
    return (Deviation(factors + _LOST * small, infinite=large & (size != 0)),)


CUMULATIVE_PRODUCT = RoundingModel(_cumulative_product)
