"""How normalization layers err.

With statistics of the data, y = (x − μ) · r · scale + bias and r = 1 / √(σ² + ε), the mean μ errs as a sum
does, absolutely, and r relatively. Kernels take the variance in two passes, Σ (x − μ)² / n, or in one,
Σ x² / n − μ²: then an error relative to Σ x² is one of σ², which is μ²/σ² times as large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.repeated_terms import repeated_terms
from normdeploy.reference.rounding_model import (
    SHARE_OF_TERMS,
    Deviation,
    Keywords,
    RoundingModel,
    relative_to_sum,
)


def per_channel(parameter: Array, rank: int) -> Array:
    """(C,) so that it broadcasts against (N, C, ...)."""
    return parameter.reshape(-1, *[1] * (rank - 2))


@dataclass(frozen=True)
class _Standardized:
    """z = (x − μ) · r.

    Attributes:
        z: the result.
        mean: error of μ, absolute.
        inverse: r, and `relative` its error.
        absolute: error of z.
    """

    z: Array
    mean: Array
    inverse: Array
    relative: Array
    absolute: Array


def _standardized(x: Array, axes: Sequence[int], epsilon: float, one_pass: bool) -> _Standardized:
    axes = tuple(axes)
    terms = max(1, math.prod(x.shape[axis] for axis in axes))
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    of_sum = relative_to_sum(terms, repeated_terms(x, axes))
    of_mean = (1.0 + of_sum) * np.abs(mean) + SHARE_OF_TERMS * np.sqrt(np.square(mean) + variance)
    inverse = 1 / np.sqrt(variance + epsilon)
    squares = variance + (np.square(mean) if one_pass else 0.0)
    relative = 1.0 + 0.5 * (1.0 + of_sum) * squares * np.square(inverse)
    z = (x - mean) * inverse
    return _Standardized(z, of_mean, inverse, relative, of_mean * inverse + np.abs(z) * (1.0 + relative))


def layer(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """LayerNormalization."""
    x, scale = inputs[:2]
    axes = range(keywords.get("axis", -1) % x.ndim, x.ndim)
    found = _standardized(x, axes, keywords.get("epsilon", 1e-5), one_pass=False)
    return (
        Deviation(absolute=found.absolute * np.abs(scale)),
        Deviation(absolute=found.mean),
        Deviation(found.relative),
    )


def instance(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """InstanceNormalization."""
    x, scale = inputs[:2]
    found = _standardized(x, range(2, x.ndim), keywords.get("epsilon", 1e-5), one_pass=False)
    return (Deviation(absolute=found.absolute * np.abs(per_channel(scale, x.ndim))),)


def group(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """GroupNormalization: in one pass, as the standard's function body has it.

    Its scale is one for each channel or for each group.
    """
    x, scale = inputs[:2]
    grouped = x.reshape(x.shape[0], keywords["num_groups"], -1)
    found = _standardized(grouped, (2,), keywords.get("epsilon", 1e-5), one_pass=True)
    scale = np.repeat(scale, x.shape[1] // scale.size)
    absolute = np.broadcast_to(found.absolute, grouped.shape).reshape(x.shape)
    return (Deviation(absolute=absolute * np.abs(per_channel(scale, x.ndim))),)


def mean_variance(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """MeanVarianceNormalization: in one pass, as the standard's function body has it.

    onnxruntime leaves out the 1e-9 that the body adds to the standard deviation: an error in any type.
    """
    found = _standardized(inputs[0], keywords.get("axes", (0, 2, 3)), 1e-18, one_pass=True)
    left_out = 0.7 * 1e-9 * found.inverse * 2.0**24
    return (Deviation(left_out, found.absolute),)


def batch(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """BatchNormalization as kernels fold it: x · a + (bias − mean · a), a = scale / √(var + ε).

    In training mode with the statistics of the batch, and running ones.
    """
    x, scale, bias, mean, variance = inputs
    epsilon = keywords.get("epsilon", 1e-5)
    if keywords.get("training_mode", 0):
        found = _standardized(x, (0, *range(2, x.ndim)), epsilon, one_pass=False)
        running = Deviation(1.0, found.mean.ravel())
        spread = Deviation(2.0 * found.relative.ravel())
        return (Deviation(absolute=found.absolute * np.abs(per_channel(scale, x.ndim))), running, spread)
    factor = 0.75 * np.abs(scale) / np.sqrt(variance + epsilon)
    offset = np.abs(mean) * factor + 0.75 * np.abs(bias)
    if mean.ndim == 1:  # otherwise for each position
        factor, offset = per_channel(factor, x.ndim), per_channel(offset, x.ndim)
    size = np.abs(x)
    size *= factor
    size += offset
    return (Deviation(absolute=size),)


def _norm(terms: int) -> Deviation:
    """x / √(Σ x²): the root halves the error of the sum."""
    return Deviation(1.5 + 0.5 * float(relative_to_sum(terms)))


def root_mean_square(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
) -> Sequence[Deviation]:
    """RMSNormalization."""
    shape = inputs[0].shape
    return (_norm(math.prod(shape[keywords.get("axis", -1) % len(shape) :])),)


def lp(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """LpNormalization."""
    return (_norm(inputs[0].shape[keywords.get("axis", -1)]),)


def response(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """LRN: x / base^β.

    A runtime that slides its window over the channels adds the next square and takes off the last, and errs
    by the size of the sum in each of C steps, so a small sum keeps the error of a large one before it:
    β·u·√(C/4)·(largest base over the channels)/base, where the base of the power is (x/y)^(1/β).
    """
    x, beta = inputs[0], keywords.get("beta", 0.75)
    with np.errstate(all="ignore"):
        base = np.abs(x / outputs[0]) ** (1 / beta)
        share = np.max(base, axis=1, keepdims=True, initial=0.0, where=np.isfinite(base)) / base
    sliding = np.nan_to_num(beta * math.sqrt(x.shape[1] / 4) * share, posinf=0.0)
    return (Deviation(1.5 + beta * relative_to_sum(int(keywords["size"])) + sliding),)


LAYER, INSTANCE, GROUP, MEAN_VARIANCE = map(RoundingModel, (layer, instance, group, mean_variance))
BATCH, ROOT_MEAN_SQUARE, LP, RESPONSE = map(RoundingModel, (batch, root_mean_square, lp, response))
