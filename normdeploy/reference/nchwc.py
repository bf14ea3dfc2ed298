"""onnxruntime's layout for vector units: channels in blocks, so that a block lies together in memory.

A tensor (N, C, H, W) in blocks of B channels is stored as (N, C / B, H, W, B), under the shape (N, C', H, W),
C' being C rounded up to whole blocks. A file that holds such operators holds filters in blocks of B, too, and
not B: it is 16 where the processor that optimized the model has AVX-512, as on 64-bit ARM, and 8 on any other
one. Such a file only runs on processors with the same B, so B is taken from the one that this runs on.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.composition import HELPERS, BodyWriter, composition
from normdeploy.reference.fused import fused_conv
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import operator

DOMAIN = "com.microsoft.nchwc"

_CPU_INFO = Path("/proc/cpuinfo")


@functools.cache
def block_size() -> int:
    """How many channels make a block on this processor."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 16
    try:
        flags = _CPU_INFO.read_text()
    except OSError:  # macOS on x86 has no AVX-512 since 2023, Windows does not say
        return 8
    return 16 if "avx512f" in flags.split() else 8


@operator("ReorderInput", since=1, domain=DOMAIN, rounding=EXACT)
def reorder_input(x: Array, *, channels_last: int = 0) -> Array:
    """x in blocks, the last of which zeros fill up: (N, C, *sizes) or (N, *sizes, C) -> (N, C', *sizes)."""
    if channels_last:
        x = np.moveaxis(x, -1, 1)
    block = block_size()
    missing = -x.shape[1] % block
    shape = (x.shape[0], x.shape[1] + missing, *x.shape[2:])
    require_memory(shape)
    full = np.pad(x, [(0, 0), (0, missing), *[(0, 0)] * (x.ndim - 2)])
    return np.moveaxis(full.reshape(shape[0], -1, block, *shape[2:]), 2, -1).reshape(shape)


@operator("ReorderOutput", since=1, domain=DOMAIN, rounding=EXACT)
def reorder_output(x: Array, *, channels: int = 0, channels_last: int = 0) -> Array:
    """x out of blocks, its first `channels` channels (0: all of them): (N, C', *sizes) -> (N, C, *sizes)."""
    blocks = x.reshape(x.shape[0], -1, *x.shape[2:], block_size())
    plain = np.moveaxis(blocks, -1, 2).reshape(x.shape)
    plain = plain[:, : channels or None]
    return np.moveaxis(plain, 1, -1) if channels_last else plain


@operator("FilterOutOfBlocks", since=1, domain=HELPERS, rounding=EXACT)
def filter_out_of_blocks(w: Array, *, group: int = 1) -> Array:
    """Filters (M', C / group, *kernel) from blocks of output and, if there are such, of input channels.

    Where the input has fewer channels than a block has, or each channel is a group, it is
    (M' / B, C / group, *kernel, B), else (M' / B, C / (B · group), *kernel, B of inputs, B of outputs).
    """
    block, kernel = block_size(), w.shape[2:]
    if _keeps_input_order(w.shape[1], group):
        plain = np.moveaxis(w.reshape(-1, w.shape[1], *kernel, block), -1, 1)
    else:
        plain = w.reshape(-1, w.shape[1] // block, *kernel, block, block)
        plain = np.moveaxis(plain, (-1, -2), (1, 3))
    return plain.reshape(w.shape)


@operator("ConvInputOutOfBlocks", since=1, domain=HELPERS, rounding=EXACT)
def conv_input_out_of_blocks(x: Array, w: Array, *, group: int = 1) -> Array:
    """The input of a convolution out of blocks; one of fewer channels than a block has is in none."""
    if group == 1 and _keeps_input_order(w.shape[1], group):
        return x
    return reorder_output(x)


def _keeps_input_order(channels: int, group: int) -> bool:
    """Whether a filter's input channels, so many of each group, are in no blocks."""
    return channels < block_size() if group == 1 else channels == 1


@composition("Conv", domain=DOMAIN)
def conv(
    write: BodyWriter,
    x: ir.Value,
    w: ir.Value,
    b: ir.Value | None = None,
    added: ir.Value | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> ir.Value:
    """activation(Conv(x, w, b) + added), all in blocks."""
    y = fused_conv(
        write,
        write("ConvInputOutOfBlocks", x, w, domain=HELPERS, group=group),
        write("FilterOutOfBlocks", w, domain=HELPERS, group=group),
        b,
        None if added is None else _plain(write, added),
        activation=activation,
        activation_params=activation_params,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return _blocks(write, y)


@composition("MaxPool", domain=DOMAIN)
def max_pool(
    write: BodyWriter,
    x: ir.Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> ir.Value:
    """MaxPool in blocks."""
    y = write(
        "MaxPool",
        _plain(write, x),
        kernel_shape=kernel_shape,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        dilations=dilations,
        pads=pads,
        strides=strides,
    )
    return _blocks(write, y)


@composition("AveragePool", domain=DOMAIN)
def average_pool(
    write: BodyWriter,
    x: ir.Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> ir.Value:
    """AveragePool in blocks."""
    y = write(
        "AveragePool",
        _plain(write, x),
        kernel_shape=kernel_shape,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        dilations=dilations,
        pads=pads,
        strides=strides,
    )
    return _blocks(write, y)


@composition("GlobalMaxPool", domain=DOMAIN)
def global_max_pool(write: BodyWriter, x: ir.Value) -> ir.Value:
    """GlobalMaxPool in blocks."""
    return _blocks(write, write("GlobalMaxPool", _plain(write, x)))


@composition("GlobalAveragePool", domain=DOMAIN)
def global_average_pool(write: BodyWriter, x: ir.Value) -> ir.Value:
    """GlobalAveragePool in blocks."""
    return _blocks(write, write("GlobalAveragePool", _plain(write, x)))


@composition("Upsample", domain=DOMAIN)
def upsample(
    write: BodyWriter,
    x: ir.Value,
    *,
    scales: Sequence[int],
    mode: str = "nearest",
    coordinate_transformation_mode: str = "asymmetric",
) -> ir.Value:
    """Resize in blocks, by whole factors."""
    y = write(
        "Resize",
        _plain(write, x),
        None,
        write.constant(scales),
        mode=mode,
        coordinate_transformation_mode=coordinate_transformation_mode,
        nearest_mode="floor",
    )
    return _blocks(write, y)


def _plain(write: BodyWriter, x: ir.Value) -> ir.Value:
    return write("ReorderOutput", x, domain=DOMAIN)


def _blocks(write: BodyWriter, x: ir.Value) -> ir.Value:
    return write("ReorderInput", x, domain=DOMAIN)
