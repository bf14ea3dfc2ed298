"""Pools over sliding windows and over whole maps.

Maxima and sums over a window are taken along one axis after the other, so that a k x k window costs 2k
operations for each element and no copy of the windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.moments import mean
from normdeploy.reference.repeated_terms import equal_neighbours, repeated_terms
from normdeploy.reference.rounding_model import EXACT, Keywords, sum_of
from normdeploy.reference.signature import operator
from normdeploy.reference.windows import Windows


def _kernel_size(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return math.prod(keywords["kernel_shape"])


def _repeated_in_windows(keywords: Keywords, inputs: Sequence[Any]) -> Array:
    """How many elements of each window have a neighbour of the same value, which is found as the pool is."""
    (x,) = inputs
    names = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    share = average_pool(
        equal_neighbours(np.abs(x)),
        count_include_pad=1,
        **{name: keywords[name] for name in names if name in keywords},
    )
    return share * math.prod(keywords["kernel_shape"])


def _repeated_in_maps(keywords: Keywords, inputs: Sequence[Any]) -> Array:
    (x,) = inputs
    return repeated_terms(x, range(2, x.ndim))


def _map_size(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return math.prod(inputs[0].shape[2:])


@operator("MaxPool", since=1, rounding=EXACT)
def max_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """The maximum of each window: (N, C, *sizes) -> (N, C, *outputs).

    Also each maximum's index in x flattened, column-major within a map if storage_order is 1.
    """
    windows = Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    lowest = -np.inf if is_floating(x.dtype) else np.iinfo(x.dtype).min
    padded = windows.pad(x, lowest)
    y = _along_axes(padded, windows, np.maximum)
    return [y] if n_outputs == 1 else [y, _argmax_indices(padded, windows, storage_order)]


@operator("AveragePool", since=1, rounding=sum_of(_kernel_size, repeats=_repeated_in_windows))
def average_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """The mean of each window: (N, C, *sizes) -> (N, C, *outputs).

    The divisor counts elements of the input only, or with count_include_pad of its border as well.
    """
    windows = Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return _along_axes(windows.pad(x, 0), windows, np.add) / windows.counts(bool(count_include_pad))


@operator("LpPool", since=2, rounding=sum_of(_kernel_size, ulps=2.0, repeats=_repeated_in_windows))
def lp_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """(Σ |x|ᵖ)^(1/p) of each window: (N, C, *sizes) -> (N, C, *outputs)."""
    windows = Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    powers = np.abs(windows.pad(x, 0)) ** p
    return np.asarray(_along_axes(powers, windows, np.add) ** (1 / p))


@operator("GlobalAveragePool", since=1, rounding=sum_of(_map_size, repeats=_repeated_in_maps))
def global_average_pool(x: Array) -> Array:
    """The mean of each map: (N, C, *sizes) -> (N, C, 1, ...)."""
    return mean(x, range(2, x.ndim))


@operator("GlobalMaxPool", since=1, rounding=EXACT)
def global_max_pool(x: Array) -> Array:
    """The maximum of each map: (N, C, *sizes) -> (N, C, 1, ...)."""
    return np.asarray(x.max(axis=tuple(range(2, x.ndim)), keepdims=True))


@operator("GlobalLpPool", since=2, rounding=sum_of(_map_size, ulps=2.0, repeats=_repeated_in_maps))
def global_lp_pool(x: Array, *, p: int = 2) -> Array:
    """(Σ |x|ᵖ)^(1/p) of each map: (N, C, *sizes) -> (N, C, 1, ...)."""
    powers = np.abs(x) ** p
    return np.asarray(powers.sum(axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p))


def _along_axes(padded: Array, windows: Windows, combine: np.ufunc) -> Array:
    """Combine the elements of each window, the last axis first."""
    y = padded
    for axis in reversed(range(len(windows.sizes))):
        index = (slice(None),) * (2 + axis)
        total = y[(*index, windows.taps(axis, 0))].copy()
        for offset in range(1, windows.kernel[axis]):
            combine(total, y[(*index, windows.taps(axis, offset))], out=total)
        y = total
    return y


def _argmax_indices(padded: Array, windows: Windows, storage_order: int) -> Array:
    """The index of each window's first maximum in the input that `padded` was made of."""
    rank = len(windows.sizes)
    order = range(rank) if storage_order == 0 else range(rank)[::-1]
    index_of_map = np.empty((*padded.shape[:2], *windows.outputs), dtype=np.int64)
    grids = np.indices(windows.outputs, sparse=True)
    for item in range(padded.shape[0]):
        view = windows.view(padded[item : item + 1])[0]
        best = view.reshape(*view.shape[: 1 + rank], -1).argmax(axis=-1)
        offsets = np.unravel_index(best, windows.kernel)
        flat, step = np.zeros_like(best), 1
        for axis in reversed(order):
            start = grids[axis] * windows.strides[axis] - windows.before[axis]
            flat += (start + offsets[axis] * windows.dilations[axis]) * step
            step *= windows.sizes[axis]
        index_of_map[item] = flat
    maps = np.arange(math.prod(padded.shape[:2])).reshape(*padded.shape[:2], *[1] * rank)
    return index_of_map + maps * math.prod(windows.sizes)
