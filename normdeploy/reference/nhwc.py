"""onnxruntime's kernels for tensors whose channels are the last axis. Filters are (M, C / group, *kernel)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference.composition import HELPERS, BodyWriter, composition
from normdeploy.reference.fused import DOMAIN, fused_conv
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import operator


@operator("ChannelsFirst", since=1, domain=HELPERS, rounding=EXACT)
def moved_to_front(x: Array) -> Array:
    """(N, *sizes, C) -> (N, C, *sizes)."""
    return np.moveaxis(x, -1, 1)


@operator("ChannelsLast", since=1, domain=HELPERS, rounding=EXACT)
def moved_to_end(x: Array) -> Array:
    """(N, C, *sizes) -> (N, *sizes, C)."""
    return np.moveaxis(x, 1, -1)


def channels_first(write: BodyWriter, x: ir.Value) -> ir.Value:
    """(N, *sizes, C) -> (N, C, *sizes), in a body."""
    return write("ChannelsFirst", x, domain=HELPERS)


def channels_last(write: BodyWriter, x: ir.Value) -> ir.Value:
    """(N, C, *sizes) -> (N, *sizes, C), in a body."""
    return write("ChannelsLast", x, domain=HELPERS)


@composition("NhwcConv", domain=DOMAIN)
@composition("NhwcFusedConv", domain=DOMAIN)
def nhwc_conv(
    write: BodyWriter,
    x: ir.Value,
    w: ir.Value,
    b: ir.Value | None = None,
    z: ir.Value | None = None,
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
    """activation(Conv(x, w, b) + z), where x, z and the result are (N, *sizes, C)."""
    y = fused_conv(
        write,
        channels_first(write, x),
        w,
        b,
        None if z is None else channels_first(write, z),
        activation=activation,
        activation_params=activation_params,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return channels_last(write, y)


@composition("NhwcMaxPool", domain=DOMAIN)
def nhwc_max_pool(
    write: BodyWriter,
    x: ir.Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> ir.Value:
    """MaxPool of (N, *sizes, C)."""
    y = write(
        "MaxPool",
        channels_first(write, x),
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        dilations=dilations,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return channels_last(write, y)
