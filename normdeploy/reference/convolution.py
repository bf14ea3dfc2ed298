"""Convolutions as matrix products over columns of windows, in pieces that bound the memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget, require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import Keywords, sum_of
from normdeploy.reference.signature import operator
from normdeploy.reference.windows import Windows

_COLUMN_BYTES = 2 * 2**20
"""The buffer for columns: small enough to stay in a CPU's cache, large enough for a matrix product."""


def terms_of_conv(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """C / group · kernel, for weights (M, C / group, *kernel)."""
    return math.prod(inputs[1].shape[1:])


def _added_to_product(keywords: Keywords, inputs: Sequence[Any]) -> Array | None:
    """The bias, where each sum is one product: of several terms, the errors of each are larger."""
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is None or terms_of_conv(keywords, inputs) > 1:
        return None
    return np.asarray(bias.reshape(-1, *[1] * (inputs[0].ndim - 2)))


def _summed_by_conv(keywords: Keywords, inputs: Sequence[Any]) -> Mapping[int, int]:
    return dict(enumerate(inputs[1].shape[1:], 1))


@operator("Conv", since=1, rounding=sum_of(terms_of_conv, added=_added_to_product, summed=_summed_by_conv))
def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """Cross-correlation.

    x: (N, C, *sizes), w: (M, C / group, *kernel), b: (M,) -> (N, M, *outputs).
    """
    _require_channels(x.shape[1], w.shape[1] * group)
    _require_kernel(kernel_shape, w)
    windows = Windows.of(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    n, m = x.shape[0], w.shape[0]
    require_memory((n, m, *windows.outputs))
    y = np.empty((n, group, m // group, *windows.outputs), dtype=np.result_type(x, w))
    # (group, M / group, C / group · kernel)
    weights = w.reshape(group, m // group, -1)
    if math.prod(windows.kernel) == math.prod(windows.strides) == 1 and not any(
        windows.before + windows.after
    ):
        columns = x.reshape(n, group, -1, windows.positions)
        np.matmul(weights, columns, out=y.reshape(n, group, m // group, -1))
    elif y.size:
        _multiply_windows(windows, windows.pad(x, 0), weights, y)
    y = y.reshape(n, m, *windows.outputs)
    if b is not None:
        y += b.reshape(-1, *[1] * (x.ndim - 2))
    return y


def _multiply_windows(windows: Windows, padded: Array, weights: Array, y: Array) -> None:
    """y[n, g] = weights[g] @ columns[n, g], a piece at a time."""
    group, m, depth = weights.shape
    rank, channels = len(windows.sizes), padded.shape[1] // group
    # (N, C, *outputs, *kernel) -> (N, C, *kernel, *outputs)
    view = windows.view(padded)
    view = view.transpose(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    taps = (slice(None),) * rank
    for item, groups, rows in _pieces(y.shape[0], group, windows.outputs, depth):
        check_budget()
        piece: tuple[Any, ...] = (item, slice(groups.start * channels, groups.stop * channels), *taps, rows)
        columns = view[piece].reshape(groups.stop - groups.start, depth, -1)
        products = np.matmul(weights[groups], columns)
        y[item, groups, :, rows] = products.reshape(len(products), m, -1, *windows.outputs[1:])


def _pieces(
    items: int, group: int, positions: Sequence[int], depth: int
) -> Iterator[tuple[int, slice, slice]]:
    """Items, ranges of groups and of rows (the first spatial axis) whose columns fit into the buffer."""
    row = depth * math.prod(positions[1:]) * 8
    groups = min(max(1, _COLUMN_BYTES // row), group)
    rows = min(max(1, _COLUMN_BYTES // (row * groups)), positions[0])
    for item, g, r in itertools.product(range(items), range(0, group, groups), range(0, positions[0], rows)):
        yield item, slice(g, min(g + groups, group)), slice(r, min(r + rows, positions[0]))


def _terms_of_conv_transpose(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """C / group · kernel, for weights (C, M / group, *kernel): the most that meet at one place."""
    channels, _, *kernel = inputs[1].shape
    return math.prod((channels // keywords.get("group", 1), *kernel))


@operator("ConvTranspose", since=1, rounding=sum_of(_terms_of_conv_transpose))
def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """The transpose of Conv's linear map: each input element adds its multiple of the kernel.

    x: (N, C, *sizes), w: (C, M / group, *kernel), b: (M,) -> (N, M, *outputs), where along each axis
    output = stride · (size − 1) + output_padding + (kernel − 1) · dilation + 1 − pads.
    """
    _require_channels(x.shape[1], w.shape[0])
    _require_kernel(kernel_shape, w)
    rank = x.ndim - 2
    strides = tuple(strides or [1] * rank)
    dilations = tuple(dilations or [1] * rank)
    extra = tuple(output_padding or [0] * rank)
    full = tuple(
        (size - 1) * s + (k - 1) * d + 1 + e
        for size, k, s, d, e in zip(x.shape[2:], w.shape[2:], strides, dilations, extra, strict=True)
    )
    before, outputs = _transposed_crop(x.shape[2:], full, strides, pads, auto_pad, output_shape)
    n, m = x.shape[0], w.shape[1] * group
    # a crop may reach beyond the full result, where it finds zeros
    canvas = [max(f, o + p) for f, o, p in zip(full, outputs, before, strict=True)]
    require_memory((n, m, *canvas))
    y = np.zeros((n, m, *canvas), dtype=np.result_type(x, w))
    if x.size:
        _scatter_windows(x, w, group, strides, dilations, y)
    y = y[(slice(None), slice(None), *[slice(p, p + o) for p, o in zip(before, outputs, strict=True)])]
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def _transposed_crop(
    sizes: Sequence[int],
    full: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int] | None,
    auto_pad: str,
    output_shape: Sequence[int] | None,
) -> tuple[list[int], list[int]]:
    """Along each axis: what is cut off before the result, and the result's size."""
    rank = len(sizes)
    if output_shape:
        outputs = list(output_shape[-rank:])
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        outputs = [size * s for size, s in zip(sizes, strides, strict=True)]
    else:
        pads = list(pads or [0] * 2 * rank)
        outputs = [f - pads[i] - pads[i + rank] for i, f in enumerate(full)]
        return pads[:rank], outputs
    totals = [max(f - o, 0) for f, o in zip(full, outputs, strict=True)]
    before = [t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in totals]
    return before, outputs


def _scatter_windows(
    x: Array, w: Array, group: int, strides: Sequence[int], dilations: Sequence[int], y: Array
) -> None:
    """Add w[c] · x[n, c, position] at each position's window of y, a piece at a time."""
    kernel = w.shape[2:]
    x = x.reshape(x.shape[0], group, -1, *x.shape[2:])
    y = y.reshape(y.shape[0], group, -1, *y.shape[2:])
    # (group, C / group, M / group · kernel) -> (group, M / group · kernel, C / group)
    weights = w.reshape(group, x.shape[2], -1).transpose(0, 2, 1)
    for item, groups, rows in _pieces(x.shape[0], group, x.shape[3:], weights.shape[1]):
        piece = x[item, groups, :, rows]
        products = np.matmul(weights[groups], piece.reshape(*piece.shape[:2], -1))
        products = products.reshape(len(piece), y.shape[2], *kernel, *piece.shape[2:])
        for offset in itertools.product(*map(range, kernel)):
            begins = [o * d for o, d in zip(offset, dilations, strict=True)]
            begins[0] += rows.start * strides[0]
            window: tuple[Any, ...] = tuple(
                slice(begin, begin + (size - 1) * s + 1, s)
                for begin, size, s in zip(begins, piece.shape[2:], strides, strict=True)
            )
            tap: tuple[Any, ...] = (slice(None), slice(None), *offset)
            y[(item, groups, slice(None), *window)] += products[tap]


def _require_channels(given: int, expected: int) -> None:
    if given != expected:
        raise ValueError(f"the input has {given} channels and the weights take {expected}")


def _require_kernel(kernel_shape: Sequence[int] | None, w: Array) -> None:
    if kernel_shape and tuple(kernel_shape) != w.shape[2:]:
        raise ValueError(f"kernel_shape {tuple(kernel_shape)} does not fit weights of shape {w.shape}")
