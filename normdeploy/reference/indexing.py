"""Operators that pick elements by index, or put them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import EXACT, Deviation, Keywords, RoundingModel
from normdeploy.reference.signature import operator

_COMBINE: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


@operator("Gather", since=1, rounding=EXACT)
def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """Slices of x along an axis: (*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])."""
    axis = axis % x.ndim
    require_memory((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.itemsize)
    return np.asarray(np.take(x, indices, axis=axis))


@operator("GatherElements", since=11, rounding=EXACT)
def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """y[i, j, ...] = x[i, indices[i, j, ...], ...] for axis 1; indices may be smaller than x elsewhere."""
    return np.asarray(x[_element_index(indices, axis % x.ndim, x.shape)])


@operator("GatherND", since=11, rounding=EXACT)
def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    """Slices of x at index tuples: the last axis of `indices` holds them, for the axes after the batch's."""
    require_memory((*indices.shape[:-1], *x.shape[batch_dims + indices.shape[-1] :]), x.itemsize)
    return np.asarray(x[_tuple_index(indices, batch_dims)])


@operator("Scatter", since=9, rounding=EXACT)
def scatter(x: Array, indices: Array, updates: Array, *, axis: int = 0) -> Array:
    """ScatterElements under its name before opset 11."""
    return scatter_elements(x, indices, updates, axis=axis)


def _rounding_of_reduction(index: Callable[[Keywords, Sequence[Any]], tuple[Any, ...]]) -> RoundingModel:
    """Numbers are moved; but sums and products err once for each update.

    Args:
        index: (attributes, inputs) -> where the updates go.
    """

    def results(
        keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
    ) -> Sequence[Deviation | None]:
        x, _, updates = inputs
        reduction = keywords.get("reduction", "none")
        if reduction not in ("add", "mul"):
            return (None,)
        where = index(keywords, inputs)
        counts = _scattered(np.zeros(x.shape), where, np.ones(updates.shape), "add")
        if reduction == "mul":
            return (Deviation(np.sqrt(counts)),)
        partial = _scattered(np.abs(x), where, np.abs(updates), "add")
        return (Deviation(absolute=np.sqrt(np.maximum(counts - 1, 0)) * partial),)

    return RoundingModel(results)


_ELEMENTS = _rounding_of_reduction(
    lambda keywords, inputs: _element_index(
        inputs[1], keywords.get("axis", 0) % inputs[0].ndim, inputs[0].shape
    )
)
_TUPLES = _rounding_of_reduction(lambda keywords, inputs: _tuple_index(inputs[1], 0))


@operator("ScatterElements", since=11, rounding=_ELEMENTS)
def scatter_elements(
    x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none"
) -> Array:
    """x with y[i, indices[i, j, ...], ...] = updates[i, j, ...] for axis 1.

    A reduction (add, mul, max, min) combines an update with what is there.
    """
    return _scattered(x, _element_index(indices, axis % x.ndim, x.shape), updates, reduction)


@operator("ScatterND", since=11, rounding=_TUPLES)
def scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array:
    """x with slices replaced by `updates`, at index tuples that the last axis of `indices` holds.

    A reduction (add, mul, max, min) combines an update with what is there.
    """
    return _scattered(x, _tuple_index(indices, 0), updates, reduction)


def _scattered(x: Array, index: tuple[Any, ...], updates: Array, reduction: str) -> Array:
    y = x.copy()
    if reduction == "none":
        y[index] = updates
    else:
        _COMBINE[reduction].at(y, index, updates)
    return y


def _element_index(indices: Array, axis: int, shape: Sequence[int]) -> tuple[Any, ...]:
    index: list[Array] = list(np.indices(indices.shape, sparse=True))
    index[axis] = _within(indices, shape[axis])
    return tuple(index)


def _tuple_index(indices: Array, batch_dims: int) -> tuple[Any, ...]:
    batch = np.indices(indices.shape[:-1], sparse=True)[:batch_dims]
    return (*batch, *np.moveaxis(indices, -1, 0))


def _within(indices: Array, length: int) -> Array:
    """Indices counted from the end made positive; IndexError for those outside."""
    if np.any((indices < -length) | (indices >= length)):
        raise IndexError(f"an index is outside [{-length}, {length - 1}]")
    return np.where(indices < 0, indices + length, indices)


@operator("TopK", since=1, rounding=EXACT)
def top_k_attribute(x: Array, *, k: int, axis: int = -1) -> Sequence[Array]:
    """The k largest values along an axis in order, and their indices. Below opset 10 k is an attribute."""
    return _top_k(x, k, axis, largest=True)


@operator("TopK", since=10, rounding=EXACT)
def top_k(x: Array, k: Array, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Sequence[Array]:  # noqa: A002
    """The k largest or smallest values along an axis in order, and their indices; of equal ones the first."""
    return _top_k(x, int(k.item()), axis, bool(largest))


def _top_k(x: Array, k: int, axis: int, largest: bool) -> Sequence[Array]:
    length = x.shape[axis]
    if not 0 <= k <= length:
        raise ValueError(f"k = {k} is outside [0, {length}], the length of axis {axis}")
    if largest:
        order = length - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis=axis, kind="stable")
    indices = np.take(order, np.arange(k), axis=axis)
    return [np.take_along_axis(x, indices, axis), indices]


@operator("OneHot", since=9, rounding=EXACT)
def one_hot(indices: Array, depth: Array, values: Array, *, axis: int = -1) -> Array:
    """values = (off, on): on at each index along a new axis of length `depth`, else off.

    An index outside [−depth, depth − 1] leaves all off.
    """
    count = int(depth.item())
    require_memory((*indices.shape, count), values.itemsize)
    wanted = np.where(indices < 0, indices + count, indices).astype(np.int64)
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    classes = np.arange(count).reshape(-1, *[1] * (indices.ndim - axis))
    return np.asarray(np.where(np.expand_dims(wanted, axis) == classes, values[1], values[0]))


@operator("NonZero", since=9, rounding=EXACT)
def non_zero(x: Array) -> Array:
    """(rank, count): the indices of the elements that are not zero."""
    return np.asarray(np.nonzero(np.atleast_1d(x)), dtype=np.int64)


@operator("Compress", since=9, rounding=EXACT)
def compress(x: Array, condition: Array, *, axis: int | None = None) -> Array:
    """The slices along an axis, or the elements of x flattened, where the condition holds."""
    return np.asarray(np.compress(condition, x, axis=axis))


@operator("ReverseSequence", since=10, rounding=EXACT)
def reverse_sequence(x: Array, sequence_lens: Array, *, batch_axis: int = 1, time_axis: int = 0) -> Array:
    """Each batch item's first `sequence_lens` steps in reverse order; the rest stays."""
    steps = np.arange(x.shape[time_axis])
    lengths = sequence_lens[:, None]
    order = np.where(steps < lengths, lengths - 1 - steps, steps)  # (batch, time)
    shape = [1] * x.ndim
    shape[batch_axis], shape[time_axis] = order.shape
    order = order if batch_axis < time_axis else order.T
    return np.take_along_axis(x, order.reshape(shape), time_axis)


@operator("Unique", since=11, rounding=EXACT)
def unique(x: Array, *, axis: int | None = None, sorted: int = 1) -> Sequence[Array]:  # noqa: A002
    """The distinct values (or slices along an axis), their first indices, the inverse and the counts.

    In order of value, or of first occurrence where `sorted` is 0.
    """
    values, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first)
        values = np.take(values, order, axis=0 if axis is None else axis)
        inverse = np.argsort(order)[inverse]
        first, counts = first[order], counts[order]
    return [values, first, inverse, counts]
