"""Changes of type, and quantization.

A Cast between floating types is the identity: the reference computes in float64 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference.dtypes import compute_dtype
from normdeploy.reference.rounding_model import (
    CORRECTLY_ROUNDED,
    FUNCTION,
    Deviation,
    Keywords,
    RoundingModel,
)
from normdeploy.reference.signature import operator


@operator("Cast", since=6, rounding=CORRECTLY_ROUNDED)
def cast(x: Array, *, to: int, saturate: int = 1, round_mode: str = "up") -> Array:
    """x in the type `to`. Floating to integer truncates; between floating types nothing changes."""
    return _cast(x, compute_dtype(to))


@operator("CastLike", since=15, rounding=CORRECTLY_ROUNDED)
def cast_like(x: Array, target: Array, *, saturate: int = 1, round_mode: str = "up") -> Array:
    """x in the type of `target`."""
    return _cast(x, target.dtype)


def _cast(x: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "O":
        text = np.empty(x.shape, dtype=object)
        text[...] = np.vectorize(str, otypes=[object])(x)
        return text
    return x.astype(dtype, copy=False)


def _quotient(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    """Kernels divide, or multiply by 1 / scale, rounded but for powers of 2: x errs as their result."""
    x, scale = inputs[:2]
    rounded = np.frexp(scale)[0] != 0.5
    return (Deviation(0.5 * _spread(rounded, x, keywords.get("axis", 1), keywords.get("block_size", 0))),)


@operator("QuantizeLinear", since=10, rounding=RoundingModel(operands=_quotient))
def quantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Array:
    """saturate(round(x / scale) + zero_point), halves to even.

    scale and zero_point: one for the tensor, one for each index of `axis`, or one for each block along it.
    """
    dtype = np.dtype(np.uint8)
    if zero_point is not None:
        dtype = zero_point.dtype
    elif output_dtype:
        dtype = compute_dtype(output_dtype)
    if dtype == np.float64:
        raise NotImplementedError("quantization to a floating type")
    y = np.rint(x / _spread(scale, x, axis, block_size))
    if zero_point is not None:
        y += _spread(zero_point, x, axis, block_size).astype(np.float64)
    low, high = _integer_limits(dtype)
    return np.clip(y, low, high).astype(dtype)


@operator("DequantizeLinear", since=10, rounding=CORRECTLY_ROUNDED)
def dequantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Array:
    """(x − zero_point) · scale; scale and zero_point as in QuantizeLinear."""
    y = x.astype(np.float64)
    if zero_point is not None:
        y -= _spread(zero_point, x, axis, block_size).astype(np.float64)
    return np.asarray(y * _spread(scale, x, axis, block_size))


_DYNAMIC = RoundingModel(FUNCTION.results, lambda keywords, inputs: (Deviation(0.5),))
"""The quotient errs as in QuantizeLinear, and the scale of it as well."""


@operator("DynamicQuantizeLinear", since=11, rounding=_DYNAMIC)
def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """x in uint8, with its scale and zero point: the range 0 … 255 holds all of x, and 0."""
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    scale = np.asarray((high - low) / 255)
    zero_point = np.asarray(np.clip(np.rint(-low / scale), 0, 255)).astype(np.uint8)
    return quantize_linear(x, scale, zero_point), scale, zero_point


def _spread(parameter: Array, x: Array, axis: int, block_size: int) -> Array:
    """A scale or zero point (per tensor, per axis or per block) so that it broadcasts against x."""
    if parameter.size == 1 and parameter.ndim < 2:
        return parameter.reshape(())
    if block_size:
        return np.take(np.repeat(parameter, block_size, axis=axis), np.arange(x.shape[axis]), axis=axis)
    return parameter.reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))


def _integer_limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    kind = ir.DataType.from_numpy(dtype)
    return (
        (-(2 ** (kind.bitwidth - 1)), 2 ** (kind.bitwidth - 1) - 1)
        if kind.is_signed()
        else (0, 2**kind.bitwidth - 1)
    )
