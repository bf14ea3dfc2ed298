"""Rounding to the types that kernels compute in, bit for bit as IEEE 754 has it, ties to even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating


@dataclass(frozen=True)
class NumberType:
    """A binary floating-point type.

    Attributes:
        name: as ONNX or its maker writes it.
        significand: bits, the leading one included.
        smallest_normal: the smallest number of that many bits.
        dtype: NumPy's; float32 where NumPy has none, and only its leading bits count.
    """

    name: str
    significand: int
    smallest_normal: float
    dtype: np.dtype[Any]

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of rounding to it."""
        return 2.0**-self.significand

    def rounded(self, x: Array) -> Array:
        """Numbers rounded to this type, subnormal ones included; infinite beyond its range.

        Args:
            x: float64 or float32; the result has the same type, and may be x itself.
        """
        if x.dtype == self.dtype and self is not TF32:
            return x
        with np.errstate(all="ignore"):
            y = x.astype(self.dtype)
            if self is TF32:
                y = _to_significand(y, self.significand)
        return y.astype(x.dtype, copy=False)

    def flushed(self, x: Array) -> Array:
        """Numbers of this type with 0 in place of the subnormal ones; x itself if there are none.

        Args:
            x: of any floating type.
        """
        flat = x.reshape(-1)
        pieces = (flat[start : start + _IN_CACHE] for start in range(0, flat.size, _IN_CACHE))
        if not any(self._subnormal(piece).any() for piece in pieces):
            return x
        return np.where(self._subnormal(x), np.copysign(0.0, x), x)

    def _subnormal(self, x: Array) -> Array:
        size = np.abs(x)
        return np.asarray((size < self.smallest_normal) & (size > 0))


_IN_CACHE = 2**16
"""Elements that are looked at together."""


def _to_significand(x: Array, bits: int) -> Array:
    """float32 rounded to so many bits; not for subnormal numbers."""
    drop = 24 - bits
    word = x.view(np.uint32)
    rounded = (word >> drop) & np.uint32(1)  # ties go to the even neighbour
    rounded += word + np.uint32((1 << (drop - 1)) - 1)
    rounded &= np.uint32(2**32 - (1 << drop))
    return np.where(np.isfinite(x), rounded.view(np.float32), x)


_FLOAT32 = np.dtype(np.float32)

FLOAT64 = NumberType("float64", 53, 2.0**-1022, np.dtype(np.float64))
FLOAT32 = NumberType("float32", 24, 2.0**-126, _FLOAT32)
TF32 = NumberType("TF32", 11, 2.0**-126, _FLOAT32)
FLOAT16 = NumberType("float16", 11, 2.0**-14, ir.DataType.FLOAT16.numpy())
BFLOAT16 = NumberType("bfloat16", 8, 2.0**-126, ir.DataType.BFLOAT16.numpy())

_BY_ONNX = {
    ir.DataType.DOUBLE: FLOAT64,
    ir.DataType.FLOAT: FLOAT32,
    ir.DataType.FLOAT16: FLOAT16,
    ir.DataType.BFLOAT16: BFLOAT16,
}


def storage(value: ir.Value | None) -> NumberType:
    """The type that a tensor is stored in; float32 where the model does not say.

    Args:
        value: of a floating type.
    """
    dtype = None if value is None else value.dtype
    return _BY_ONNX.get(dtype or ir.DataType.FLOAT, FLOAT32)


def as_stored(x: Array, value: ir.Value | None) -> Array:
    """A tensor as its type holds it; integers and booleans are as they are.

    Args:
        x: its numbers.
        value: which tensor.
    """
    return storage(value).rounded(x) if is_floating(x.dtype) else x
