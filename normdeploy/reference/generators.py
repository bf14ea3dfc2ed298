"""Operators that make tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.dtypes import compute_dtype
from normdeploy.reference.rounding_model import (
    EXACT,
    SHARE_OF_REPEATED_TERMS,
    Deviation,
    Keywords,
    RoundingModel,
)
from normdeploy.reference.signature import operator

DRAWS = "draws random numbers, so nothing that depends on them can be checked"
"""Why a node is refused that gives other numbers each time."""


@operator("Constant", since=1, rounding=EXACT)
def constant(
    *,
    value: Array | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
    value_string: str | None = None,
    value_strings: Sequence[str] | None = None,
) -> Array:
    """A tensor, or one made of the attribute that is given: a number (rank 0) or numbers (rank 1)."""
    if value is not None:
        return value
    for number in (value_float, value_floats):
        if number is not None:
            return np.asarray(number, dtype=np.float64)
    for integer in (value_int, value_ints):
        if integer is not None:
            return np.asarray(integer, dtype=np.int64)
    for text in (value_string, value_strings):
        if text is not None:
            return np.asarray(text, dtype=object)
    raise NotImplementedError("a constant without a dense value")


@operator("ConstantOfShape", since=9, rounding=EXACT)
def constant_of_shape(shape: Array, *, value: Array | None = None) -> Array:
    """A tensor full of the one element of `value`, by default 0.0."""
    fill = np.zeros(1) if value is None else value
    require_memory(shape.tolist(), fill.dtype.itemsize)
    return np.full(shape.tolist(), fill.reshape(()))


def _additions(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """onnxruntime adds delta again and again, which is a sum of equal terms: 100 u after 800 of them."""
    largest = np.maximum(np.abs(outputs[0]), np.abs(inputs[0]))
    return (Deviation(absolute=SHARE_OF_REPEATED_TERMS * np.arange(largest.size) * largest),)


@operator("Range", since=11, rounding=RoundingModel(_additions, correctly_rounded=True))
def range_(start: Array, limit: Array, delta: Array, *, stash_type: int = 1) -> Array:
    """start + i·delta for i below max(0, ⌈(limit − start) / delta⌉)."""
    first, last, step = start.item(), limit.item(), delta.item()
    count = max(0, math.ceil((last - first) / step))
    require_memory((count,))
    return np.asarray(first + np.arange(count) * step, dtype=start.dtype)


@operator("EyeLike", since=9, rounding=EXACT)
def eye_like(x: Array, *, dtype: int | None = None, k: int = 0) -> Array:
    """A matrix of x's shape with ones on its k-th diagonal (k > 0: above the main one), else zeros."""
    require_memory(x.shape)
    rows, columns = x.shape
    return np.eye(rows, columns, k, x.dtype if dtype is None else compute_dtype(dtype))
