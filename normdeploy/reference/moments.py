"""Means and variances, NaN where nothing is to be averaged, as a runtime has them; NumPy would warn there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normdeploy.dtypes import Array


def mean(x: Array, axes: Sequence[int] | None, keepdims: bool = True) -> Array:
    """Σx / n over the axes.

    Args:
        x: what is averaged.
        axes: all of them if None.
        keepdims: whether they stay, with the size 1.
    """
    over = None if axes is None else tuple(axes)
    if _is_empty(x, over):
        return np.asarray(x.sum(axis=over, keepdims=keepdims) * math.nan)
    return np.asarray(x.mean(axis=over, keepdims=keepdims))


def variance(x: Array, axes: Sequence[int]) -> Array:
    """Σ(x − mean)² / n over the axes, which stay with the size 1.

    Args:
        x: the numbers.
        axes: of the mean.
    """
    over = tuple(axes)
    return mean(x, over) if _is_empty(x, over) else np.asarray(x.var(axis=over, keepdims=True))


def _is_empty(x: Array, axes: tuple[int, ...] | None) -> bool:
    return 0 in (x.shape if axes is None else [x.shape[axis] for axis in axes])
