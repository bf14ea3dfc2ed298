"""Normalizations with every step in a short type: squares, sums, denominators.

In float16 the square of 256 is infinite already, and a number below 2.4e-4 has the square 0 or nearly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.kernels.number_types import NumberType
from normdeploy.kernels.sums import running_sum
from normdeploy.lrn import LRN


def lrn(x: Array, spec: LRN, kept_in: NumberType) -> Array:
    """x / (k + α · Σ x²)^β across channels. Parameters are float32, as kernels are given them.

    Args:
        x: (N, C, ...).
        spec: its parameters.
        kept_in: the type of each step.
    """
    r = kept_in.rounded
    squares = r(np.square(x))
    before, after = spec.window
    channels = x.shape[1]
    sums = np.zeros_like(squares)
    for offset in range(-before, after + 1):
        first, last = max(0, -offset), min(channels, channels - offset)
        if first < last:
            sums[:, first:last] += squares[:, first + offset : last + offset]
            sums = r(sums)
    base = r(r(sums * np.float32(spec.alpha_sum_over(1))) + np.float32(spec.k))
    return r(x / r(np.power(base, np.float32(spec.beta))))


def batch_norm(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float, kept_in: NumberType
) -> Array:
    """a · x + b, with a = scale / √(var + ε) and b = bias − mean · a computed well and then rounded.

    That is how a BatchNorm becomes a scale layer. b cancels against a · x where the mean is large.

    Args:
        x: (N, C, ...).
        scale, bias, mean, var: of each channel.
        epsilon: ε.
        kept_in: the type of a, b, and each step.
    """
    r = kept_in.rounded
    factor = scale / np.sqrt(var + epsilon)
    shift = r(bias - mean * factor)
    planes = (-1, *[1] * (x.ndim - 2))
    return r(r(x * r(factor).reshape(planes)) + shift.reshape(planes))


def standardized(
    x: Array, axes: Sequence[int], epsilon: float, kept_in: NumberType, *, centred: bool = True
) -> Array:
    """(x − mean) / √(var + ε), or x / √(mean(x²) + ε).

    Args:
        x: the input.
        axes: of the statistics.
        epsilon: ε.
        kept_in: the type of each step.
        centred: whether the mean is taken away.
    """
    r = kept_in.rounded
    if centred:
        x = r(x - _mean(x, axes, kept_in))
    return r(x / r(np.sqrt(r(_mean(r(np.square(x)), axes, kept_in) + epsilon))))


def mean_variance(x: Array, axes: Sequence[int], kept_in: NumberType) -> Array:
    """(x − mean) / (√(mean(x²) − mean²) + 1e-9), as the standard's function body of it has it.

    Args:
        x: the input.
        axes: of the statistics.
        kept_in: the type of each step.
    """
    r = kept_in.rounded
    centre = _mean(x, axes, kept_in)
    variance = r(_mean(r(np.square(x)), axes, kept_in) - r(np.square(centre)))
    return r(r(x - centre) / r(r(np.sqrt(variance)) + r(np.full((), 1e-9))))


def lp_norm(x: Array, axis: int, p: int, kept_in: NumberType) -> Array:
    """x / (Σ |x|ᵖ)^(1/p), and 0 where that is 0.

    Args:
        x: the input.
        axis: along which.
        p: 1 or 2.
        kept_in: the type of each step.
    """
    r = kept_in.rounded
    total = running_sum(np.abs(x) if p == 1 else r(np.square(x)), axis, kept_in)
    norm = np.expand_dims(total if p == 1 else r(np.sqrt(total)), axis)
    return r(np.divide(x, norm, out=np.zeros_like(x), where=norm != 0))


def _mean(x: Array, axes: Sequence[int], kept_in: NumberType) -> Array:
    """Over the axes, which stay with the size 1."""
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose(*axes, *rest).reshape(-1, *[x.shape[axis] for axis in rest])
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    return kept_in.rounded(running_sum(rows, 0, kept_in) / max(len(rows), 1)).reshape(shape)
