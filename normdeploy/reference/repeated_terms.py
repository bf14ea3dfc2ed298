"""Which terms of a sum are the same number again: their rounding repeats itself, see `rounding_model`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normdeploy.dtypes import Array

_SAME = 18
"""Bits in which numbers agree that are the same but for the errors that a disturbed run gave them: 64 u."""


def repeated_terms(x: Array, axes: Sequence[int] | None) -> Array:
    """How many elements along axes repeat others: √(Σ m² − Σ m) over the numbers that occur m times.

    0 where all differ, nearly n where n are the same.

    Args:
        x: of any shape.
        axes: those that are summed, None for all; the result keeps them with length 1.
    """
    summed = tuple(range(x.ndim)) if axes is None else tuple(axis % x.ndim for axis in axes)
    kept = [axis for axis in range(x.ndim) if axis not in summed]
    rows = x.transpose(*kept, *summed).reshape(math.prod(x.shape[axis] for axis in kept), -1)
    shape = [1 if axis in summed else size for axis, size in enumerate(x.shape)]
    if rows.shape[1] < 2:
        return np.zeros(shape)
    keys = np.sort(_leading_bits(rows), axis=1)
    index = np.arange(keys.shape[1])
    starts = np.where(keys[:, 1:] != keys[:, :-1], index[1:], 0)
    starts = np.maximum.accumulate(np.pad(starts, ((0, 0), (1, 0))), axis=1)
    pairs = np.where(keys != 0, 2 * (index - starts), 0).sum(axis=1, dtype=np.float64)
    return np.asarray(np.sqrt(pairs)).reshape(shape)


def equal_neighbours(x: Array) -> Array:
    """1 for each element that has a neighbour of the same value along the last axis, else 0; 0 for zeros."""
    keys = _leading_bits(x)
    same = np.zeros(x.shape)
    if x.shape[-1] > 1:
        equal = (keys[..., 1:] == keys[..., :-1]) & (keys[..., 1:] != 0)
        same[..., 1:] = equal
        same[..., :-1] = np.maximum(same[..., :-1], equal)
    return same


def repeated_products(a: Array, b: Array) -> float | Array:
    """How many terms of the sums in A · B repeat others; broadcasts to the result.

    Those where both factors repeat a neighbour: a plain background under a filter of equal weights.

    Args:
        a, b: matrices in the last two axes, or vectors, as `numpy.matmul` takes them.
    """
    if min(a.ndim, b.ndim) < 1:
        return 0.0
    left = equal_neighbours(a)
    if not left.any():  # nothing more is done for what runs through most networks
        return 0.0
    return np.asarray(
        np.matmul(left, np.moveaxis(equal_neighbours(np.moveaxis(b, _inner(b), -1)), -1, _inner(b)))
    )


def _inner(b: Array) -> int:
    """The axis of the right factor that is summed."""
    return -2 if b.ndim > 1 else -1


def _leading_bits(x: Array) -> Array:
    """Sign, exponent and the leading bits of the significand, rounded; 0 only for zeros."""
    bits = (np.asarray(x, np.float32) + np.float32(0)).view(np.int32)  # −0 is 0
    return np.asarray((bits + (1 << (22 - _SAME))) >> (23 - _SAME))
