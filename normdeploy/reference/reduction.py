"""Reductions along axes. The axes are an attribute in older opsets and an input in newer ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.reference import rounding_of_reductions as rounding
from normdeploy.reference.moments import mean
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import operator

Axes = tuple[int, ...] | None
_Reduction = Callable[[Array, Axes, bool], Array]


def _sum(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.asarray(np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype))


def _mean(x: Array, axes: Axes, keepdims: bool) -> Array:
    return mean(x, axes, keepdims).astype(x.dtype, copy=False)


def _prod(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.asarray(np.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype))


def _max(x: Array, axes: Axes, keepdims: bool) -> Array:
    """The maximum of no elements is the type's lowest value."""
    return np.asarray(np.max(x, axis=axes, keepdims=keepdims, initial=_limits(x)[0]))


def _min(x: Array, axes: Axes, keepdims: bool) -> Array:
    """The minimum of no elements is the type's highest value."""
    return np.asarray(np.min(x, axis=axes, keepdims=keepdims, initial=_limits(x)[1]))


def _limits(x: Array) -> tuple[Any, Any]:
    if is_floating(x.dtype):
        return -np.inf, np.inf
    if x.dtype == np.bool_:
        return False, True
    return np.iinfo(x.dtype).min, np.iinfo(x.dtype).max


def _l1(x: Array, axes: Axes, keepdims: bool) -> Array:
    return _sum(np.abs(x), axes, keepdims)


def _l2(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.sqrt(_sum(np.square(x), axes, keepdims)).astype(x.dtype, copy=False)


def _sum_square(x: Array, axes: Axes, keepdims: bool) -> Array:
    return _sum(np.square(x), axes, keepdims)


def _log_sum(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.log(_sum(x, axes, keepdims)).astype(x.dtype, copy=False)


def _log_sum_exp(x: Array, axes: Axes, keepdims: bool) -> Array:
    """log Σ exp(x), by the exponentials of x less its (finite) maximum."""
    top = _max(x, axes, True)
    top = np.where(np.isfinite(top), top, 0)
    result = np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True)) + top
    shape = _sum(x, axes, keepdims).shape
    return np.asarray(result).reshape(shape).astype(x.dtype, copy=False)


def _by_attribute(reduction: _Reduction, x: Array, axes: Sequence[int] | None, keepdims: int) -> Array:
    return reduction(x, tuple(axes) if axes else None, bool(keepdims))


def _by_input(reduction: _Reduction, x: Array, axes: Array | None, keepdims: int, noop: int) -> Array:
    """No axes: all of them, or with `noop` none (each element is reduced by itself)."""
    chosen: Axes = () if axes is None else tuple(axes.tolist())
    return reduction(x, chosen if chosen or noop else None, bool(keepdims))


@operator("ReduceSum", since=1, rounding=rounding.SUM)
def reduce_sum_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """Σ x over the given axes. Below opset 13 they are an attribute."""
    return _by_attribute(_sum, x, axes, keepdims)


@operator("ReduceSum", since=13, rounding=rounding.SUM)
def reduce_sum(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """Σ x over the given axes, by default all."""
    return _by_input(_sum, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceMean", since=1, rounding=rounding.SUM)
def reduce_mean_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """The mean of x over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_mean, x, axes, keepdims)


@operator("ReduceMean", since=18, rounding=rounding.SUM)
def reduce_mean(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """The mean of x over the given axes, by default all."""
    return _by_input(_mean, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceProd", since=1, rounding=rounding.PRODUCT)
def reduce_prod_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """The product of x over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_prod, x, axes, keepdims)


@operator("ReduceProd", since=18, rounding=rounding.PRODUCT)
def reduce_prod(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """The product of x over the given axes, by default all."""
    return _by_input(_prod, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceMax", since=1, rounding=EXACT)
def reduce_max_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """The maximum of x over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_max, x, axes, keepdims)


@operator("ReduceMax", since=18, rounding=EXACT)
def reduce_max(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """The maximum of x over the given axes, by default all."""
    return _by_input(_max, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceMin", since=1, rounding=EXACT)
def reduce_min_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """The minimum of x over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_min, x, axes, keepdims)


@operator("ReduceMin", since=18, rounding=EXACT)
def reduce_min(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """The minimum of x over the given axes, by default all."""
    return _by_input(_min, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceL1", since=1, rounding=rounding.L1)
def reduce_l1_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """Σ |x| over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_l1, x, axes, keepdims)


@operator("ReduceL1", since=18, rounding=rounding.L1)
def reduce_l1(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """Σ |x| over the given axes, by default all."""
    return _by_input(_l1, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceL2", since=1, rounding=rounding.L2)
def reduce_l2_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """√(Σ x²) over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_l2, x, axes, keepdims)


@operator("ReduceL2", since=18, rounding=rounding.L2)
def reduce_l2(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """√(Σ x²) over the given axes, by default all."""
    return _by_input(_l2, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceSumSquare", since=1, rounding=rounding.SUM_OF_SQUARES)
def reduce_sum_square_axes_attribute(
    x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1
) -> Array:
    """Σ x² over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_sum_square, x, axes, keepdims)


@operator("ReduceSumSquare", since=18, rounding=rounding.SUM_OF_SQUARES)
def reduce_sum_square(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """Σ x² over the given axes, by default all."""
    return _by_input(_sum_square, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceLogSum", since=1, rounding=rounding.LOG_OF_SUM)
def reduce_log_sum_axes_attribute(x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> Array:
    """log(Σ x) over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_log_sum, x, axes, keepdims)


@operator("ReduceLogSum", since=18, rounding=rounding.LOG_OF_SUM)
def reduce_log_sum(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """log(Σ x) over the given axes, by default all."""
    return _by_input(_log_sum, x, axes, keepdims, noop_with_empty_axes)


@operator("ReduceLogSumExp", since=1, rounding=rounding.LOG_OF_SUM_OF_EXPONENTIALS)
def reduce_log_sum_exp_axes_attribute(
    x: Array, *, axes: Sequence[int] | None = None, keepdims: int = 1
) -> Array:
    """log(Σ exp(x)) over the given axes. Below opset 18 they are an attribute."""
    return _by_attribute(_log_sum_exp, x, axes, keepdims)


@operator("ReduceLogSumExp", since=18, rounding=rounding.LOG_OF_SUM_OF_EXPONENTIALS)
def reduce_log_sum_exp(
    x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Array:
    """log(Σ exp(x)) over the given axes, by default all."""
    return _by_input(_log_sum_exp, x, axes, keepdims, noop_with_empty_axes)


@operator("ArgMax", since=1, rounding=EXACT)
def arg_max(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    """The index of the maximum along an axis: the first, or the last with select_last_index."""
    return _arg_extreme(np.argmax, x, axis, keepdims, select_last_index)


@operator("ArgMin", since=1, rounding=EXACT)
def arg_min(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    """The index of the minimum along an axis: the first, or the last with select_last_index."""
    return _arg_extreme(np.argmin, x, axis, keepdims, select_last_index)


def _arg_extreme(find: Any, x: Array, axis: int, keepdims: int, select_last_index: int) -> Array:
    if select_last_index:
        return np.asarray(x.shape[axis] - 1 - find(np.flip(x, axis), axis=axis, keepdims=bool(keepdims)))
    return np.asarray(find(x, axis=axis, keepdims=bool(keepdims)))


@operator("CumSum", since=11, rounding=rounding.CUMULATIVE_SUM)
def cum_sum(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    """Sums of what stands up to each element along an axis."""
    return _cumulative(np.add, x, axis, exclusive, reverse)


@operator("CumProd", since=26, rounding=rounding.CUMULATIVE_PRODUCT)
def cum_prod(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    """Products of what stands up to each element along an axis."""
    return _cumulative(np.multiply, x, axis, exclusive, reverse)


def _cumulative(combine: np.ufunc, x: Array, axis: Array, exclusive: int, reverse: int) -> Array:
    """exclusive: what stands before each element, without itself; reverse: from the end."""
    along = int(axis.item())
    values = np.flip(x, along) if reverse else x
    if exclusive:
        first = np.full_like(np.take(values, [0], axis=along), combine.identity)
        values = np.concatenate([first, np.delete(values, -1, axis=along)], axis=along)
    y = combine.accumulate(values, axis=along, dtype=x.dtype)
    return np.asarray(np.flip(y, along) if reverse else y)
