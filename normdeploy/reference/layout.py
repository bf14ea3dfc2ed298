"""Operators that arrange elements: shapes, axes, pieces and borders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import Value, operator


@operator("Identity", since=1, rounding=EXACT)
def identity(x: Value) -> Value:
    """x."""
    return x


@operator("Shape", since=1, rounding=EXACT)
def shape(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    """The sizes of x, or of its axes from start to end."""
    return np.asarray(x.shape[start:end], dtype=np.int64)


@operator("Size", since=1, rounding=EXACT)
def size(x: Array) -> Array:
    """The number of elements of x."""
    return np.asarray(x.size, dtype=np.int64)


@operator("Reshape", since=5, rounding=EXACT)
def reshape(x: Array, new_shape: Array, *, allowzero: int = 0) -> Array:
    """x in a new shape: -1 takes what remains; 0 copies the input's size there, unless allowzero."""
    sizes = new_shape.tolist()
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


@operator("Flatten", since=1, rounding=EXACT)
def flatten(x: Array, *, axis: int = 1) -> Array:
    """x as a matrix: the axes before `axis`, and the rest."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Transpose", since=1, rounding=EXACT)
def transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    """Axis i of the result is axis perm[i] of x; by default all axes in reverse."""
    return x.transpose(perm)


@operator("Squeeze", since=1, rounding=EXACT)
def squeeze_axes_attribute(x: Array, *, axes: Sequence[int] | None = None) -> Array:
    """x without the given axes of size 1. Below opset 13 they are an attribute."""
    return x.squeeze(None if axes is None else tuple(axes))


@operator("Squeeze", since=13, rounding=EXACT)
def squeeze(x: Array, axes: Array | None = None) -> Array:
    """x without the given axes of size 1, by default all of them."""
    return x.squeeze(None if axes is None else tuple(axes.tolist()))


@operator("Unsqueeze", since=1, rounding=EXACT)
def unsqueeze_axes_attribute(x: Array, *, axes: Sequence[int]) -> Array:
    """x with new axes of size 1. Below opset 13 their places are an attribute."""
    return np.expand_dims(x, tuple(axes))


@operator("Unsqueeze", since=13, rounding=EXACT)
def unsqueeze(x: Array, axes: Array) -> Array:
    """x with new axes of size 1, at places of the result."""
    return np.expand_dims(x, tuple(axes.ravel().tolist()))


@operator("Concat", since=4, rounding=EXACT)
def concat(*inputs: Array, axis: int) -> Array:
    """The inputs one after the other along an axis."""
    require_memory([sum(x.size for x in inputs)], max(x.itemsize for x in inputs))
    return np.concatenate(inputs, axis=axis)


@operator("Split", since=2, rounding=EXACT)
def split_sizes_attribute(
    x: Array, *, axis: int = 0, split: Sequence[int] | None = None, n_outputs: int = 1
) -> Sequence[Array]:
    """x in pieces along an axis, by default equal ones. Below opset 13 the sizes are an attribute."""
    return _pieces(x, axis, split or _even_sizes(x.shape[axis], n_outputs))


@operator("Split", since=13, rounding=EXACT)
def split(
    x: Array,
    sizes: Array | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """x in pieces along an axis; without sizes equal ones, of which the last may be smaller."""
    return _pieces(x, axis, _even_sizes(x.shape[axis], n_outputs) if sizes is None else sizes.tolist())


def _even_sizes(length: int, pieces: int) -> list[int]:
    step = -(-length // pieces)
    return [max(0, min(step, length - i * step)) for i in range(pieces)]


def _pieces(x: Array, axis: int, sizes: Sequence[int]) -> Sequence[Array]:
    if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        raise ValueError(f"pieces {tuple(sizes)} do not make up {x.shape[axis]} elements along axis {axis}")
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


@operator("Slice", since=1, rounding=EXACT)
def slice_by_attributes(
    x: Array, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> Array:
    """x[start:end] along the given axes, by default the first ones. Below opset 10 without steps."""
    return _sliced(x, starts, ends, axes or range(len(starts)), [1] * len(starts))


@operator("Slice", since=10, rounding=EXACT)
def slice_(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    """x[start:end:step] along the given axes, by default the first ones.

    Bounds beyond an axis are clamped, as Python clamps them.
    """
    return _sliced(
        x,
        starts.tolist(),
        ends.tolist(),
        range(len(starts)) if axes is None else axes.tolist(),
        [1] * len(starts) if steps is None else steps.tolist(),
    )


def _sliced(
    x: Array, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int]
) -> Array:
    index: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return np.asarray(x[tuple(index)])


@operator("Pad", since=2, rounding=EXACT)
def pad_by_attributes(x: Array, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Array:
    """x with a border. Below opset 11 its widths and its value are attributes."""
    return _padded(x, pads, range(x.ndim), mode, value)


@operator("Pad", since=11, rounding=EXACT)
def pad(
    x: Array,
    pads: Array,
    constant_value: Array | None = None,
    axes: Array | None = None,
    *,
    mode: str = "constant",
) -> Array:
    """x with a border on the given axes, by default all.

    pads: all beginnings, then all ends; negative ones crop.
    """
    value = 0 if constant_value is None else constant_value.item()
    return _padded(x, pads.tolist(), range(x.ndim) if axes is None else axes.tolist(), mode, value)


def _padded(x: Array, pads: Sequence[int], axes: Sequence[int], mode: str, value: Any) -> Array:
    crop: list[Any] = [slice(None)] * x.ndim
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        begin, end = pads[i], pads[i + len(axes)]
        crop[axis] = slice(max(0, -begin), x.shape[axis] - max(0, -end))
        widths[axis] = (max(0, begin), max(0, end))
    cropped = x[tuple(crop)]
    require_memory([size + sum(width) for size, width in zip(cropped.shape, widths, strict=True)], x.itemsize)
    if mode == "constant":
        return np.pad(cropped, widths, constant_values=value)
    if mode in ("edge", "reflect", "wrap"):
        return np.pad(cropped, widths, mode=mode)  # type: ignore[call-overload,no-any-return]
    raise NotImplementedError(f"Pad mode '{mode}'")


@operator("Expand", since=8, rounding=EXACT)
def expand(x: Array, new_shape: Array) -> Array:
    """x broadcast to a shape; both ways: a 1 in either shape gives way."""
    sizes = np.broadcast_shapes(x.shape, tuple(new_shape.tolist()))
    require_memory(sizes, x.itemsize)
    return np.broadcast_to(x, sizes)


@operator("Tile", since=6, rounding=EXACT)
def tile(x: Array, repeats: Array) -> Array:
    """x repeated along each axis."""
    require_memory([size * count for size, count in zip(x.shape, repeats.tolist(), strict=True)], x.itemsize)
    return np.tile(x, repeats.tolist())


@operator("DepthToSpace", since=1, rounding=EXACT)
def depth_to_space(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    """(N, C, H, W) -> (N, C / b², H · b, W · b), b the block size.

    The channel holds (b, b, C / b²) in mode DCR, (C / b², b, b) in CRD.
    """
    n, c, h, w = x.shape
    b, depth = blocksize, c // blocksize**2
    if mode == "DCR":
        y = x.reshape(n, b, b, depth, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, depth, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, depth, h * b, w * b)


@operator("SpaceToDepth", since=1, rounding=EXACT)
def space_to_depth(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    """(N, C, H, W) -> (N, C · b², H / b, W / b): the inverse of DepthToSpace."""
    n, c, h, w = x.shape
    b = blocksize
    y = x.reshape(n, c, h // b, b, w // b, b)
    y = y.transpose(0, 3, 5, 1, 2, 4) if mode == "DCR" else y.transpose(0, 1, 3, 5, 2, 4)
    return y.reshape(n, c * b * b, h // b, w // b)


@operator("Trilu", since=14, rounding=EXACT)
def trilu(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    """Matrices in the last two axes with zeros below (upper) or above the k-th diagonal."""
    diagonal = 0 if k is None else k.item()
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


@operator("Where", since=9, rounding=EXACT)
def where(condition: Array, x: Array, y: Array) -> Array:
    """x where the condition holds, else y; all three broadcast."""
    require_memory(np.broadcast_shapes(condition.shape, x.shape, y.shape), x.itemsize)
    return np.where(condition, x, y)
