"""The reference's number types: every floating tensor is float64, every other keeps its type."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array


def compute_dtype(dtype: ir.DataType | int) -> np.dtype[Any]:
    """The NumPy type in which the reference holds tensors of an ONNX type."""
    dtype = ir.DataType(dtype)
    if dtype.is_floating_point():
        return np.dtype(np.float64)
    if dtype in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        return np.dtype(np.complex128)
    return np.dtype(dtype.numpy())


def widen(array: Array) -> Array:
    """The same values in the reference's type; exact, and without a copy where nothing changes."""
    if array.dtype == np.float64 or array.dtype.kind in "biu":
        return array
    if array.dtype.kind in "OSTU":
        return _as_text(array)
    with np.errstate(invalid="ignore"):  # a signalling NaN stays a NaN
        return array.astype(compute_dtype(ir.DataType.from_numpy(array.dtype)), copy=False)


def _as_text(array: Array) -> Array:
    """Strings as an object array of str: ONNX stores them as UTF-8 bytes."""
    text = np.empty(array.shape, dtype=object)
    for index, item in np.ndenumerate(array):
        text[index] = item.decode("utf-8") if isinstance(item, bytes) else str(item)
    return text
