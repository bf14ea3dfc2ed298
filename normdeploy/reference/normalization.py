"""Normalization layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normdeploy.batchnorm import batch_norm, batch_norm_train
from normdeploy.dtypes import Array
from normdeploy.lrn import LRN
from normdeploy.lrn import lrn as local_response_norm
from normdeploy.reference import rounding_of_normalizations as rounding
from normdeploy.reference.generators import DRAWS
from normdeploy.reference.moments import mean, variance
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.rounding_of_normalizations import per_channel
from normdeploy.reference.signature import operator


@operator("LRN", since=1, rounding=rounding.RESPONSE)
def lrn(x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Array:
    """x / (bias + alpha / size · Σ x²)^beta, the sum over a window of channels; see `normdeploy.lrn`."""
    return local_response_norm(x, LRN(size, alpha, beta, bias, "across", "onnx"))


@operator("BatchNormalization", since=9, rounding=rounding.BATCH)
def batch_normalization_by_outputs(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    var: Array,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    n_outputs: int = 1,
) -> Array:
    """scale · (x − mean) / √(var + ε) + bias per channel.

    Below opset 14 the number of outputs tells inference (1) from training.
    """
    if n_outputs > 1:
        raise NotImplementedError("training mode below opset 14 is not defined well enough to compute")
    return batch_norm(x, scale, bias, mean, var, epsilon)


@operator("BatchNormalization", since=7, rounding=rounding.BATCH)
def batch_normalization_with_spatial(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    var: Array,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
    n_outputs: int = 1,
) -> Array:
    """As in opset 9; with spatial=0 the parameters are for each (channel, position)."""
    return batch_normalization_by_outputs(
        x, scale, bias, mean, var, epsilon=epsilon, momentum=momentum, n_outputs=n_outputs
    )


@operator("BatchNormalization", since=14, rounding=rounding.BATCH)
def batch_normalization(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    var: Array,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """scale · (x − mean) / √(var + ε) + bias per channel; in training mode with the batch's statistics.

    In training mode also the running statistics: old · momentum + batch · (1 − momentum).
    """
    if not training_mode:
        return [batch_norm(x, scale, bias, mean, var, epsilon)]
    y, batch_mean, batch_var = batch_norm_train(x, scale, bias, epsilon)
    running_mean = mean * momentum + batch_mean * (1 - momentum)
    running_var = var * momentum + batch_var * (1 - momentum)
    return [y, running_mean, running_var][:n_outputs]


@operator("InstanceNormalization", since=6, rounding=rounding.INSTANCE)
def instance_normalization(x: Array, scale: Array, bias: Array, *, epsilon: float = 1e-5) -> Array:
    """scale · (x − mean) / √(var + ε) + bias with statistics of each (instance, channel)."""
    y = _standardized(x, tuple(range(2, x.ndim)), epsilon)
    return y * per_channel(scale, x.ndim) + per_channel(bias, x.ndim)


@operator("GroupNormalization", since=21, rounding=rounding.GROUP)
def group_normalization(
    x: Array, scale: Array, bias: Array, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Array:
    """scale · (x − mean) / √(var + ε) + bias with statistics of each (instance, group of channels).

    scale and bias: (C,).
    """
    y = _group_standardized(x, num_groups, epsilon)
    return y * per_channel(scale, x.ndim) + per_channel(bias, x.ndim)


@operator("GroupNormalization", since=18, rounding=rounding.GROUP)
def group_normalization_per_group(
    x: Array, scale: Array, bias: Array, *, num_groups: int, epsilon: float = 1e-5
) -> Array:
    """Below opset 21 scale and bias are (num_groups,)."""
    repeats = x.shape[1] // num_groups
    return group_normalization(
        x, np.repeat(scale, repeats), np.repeat(bias, repeats), num_groups=num_groups, epsilon=epsilon
    )


@operator("LayerNormalization", since=17, rounding=rounding.LAYER)
def layer_normalization(
    x: Array,
    scale: Array,
    bias: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """scale · (x − mean) / √(var + ε) + bias with statistics over the axes from `axis` on.

    Also the mean and 1 / √(var + ε).
    """
    axes = tuple(range(axis % x.ndim, x.ndim))
    centre = mean(x, axes)
    inverse = 1 / np.sqrt(variance(x, axes) + epsilon)
    y = (x - centre) * inverse * scale
    return [y if bias is None else y + bias, centre, inverse][:n_outputs]


@operator("RMSNormalization", since=23, rounding=rounding.ROOT_MEAN_SQUARE)
def rms_normalization(
    x: Array, scale: Array, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Array:
    """x / √(mean(x²) + ε) · scale over the axes from `axis` on."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    return np.asarray(x / np.sqrt(mean(np.square(x), axes) + epsilon) * scale)


@operator("LpNormalization", since=1, rounding=rounding.LP)
def lp_normalization(x: Array, *, axis: int = -1, p: int = 2) -> Array:
    """x / ‖x‖ₚ along an axis, and 0 where the norm is 0."""
    norm = (
        np.abs(x).sum(axis=axis, keepdims=True)
        if p == 1
        else np.sqrt(np.square(x).sum(axis=axis, keepdims=True))
    )
    return np.where(norm == 0, 0.0, x / norm)


@operator("MeanVarianceNormalization", since=9, rounding=rounding.MEAN_VARIANCE)
def mean_variance_normalization(x: Array, *, axes: Sequence[int] = (0, 2, 3)) -> Array:
    """(x − mean) / (standard deviation + 1e-9), as the standard's function body."""
    return np.asarray((x - mean(x, axes)) / (np.sqrt(variance(x, axes)) + 1e-9))


@operator("Dropout", since=7, rounding=EXACT)
def dropout_with_mask_like_input(x: Array, *, ratio: float = 0.5, n_outputs: int = 1) -> Sequence[Array]:
    """Below opset 12 always inference: x, and a mask of ones of x's type (opset 7)."""
    return [x, np.ones_like(x)][:n_outputs]


@operator("Dropout", since=10, rounding=EXACT)
def dropout_with_ratio_attribute(x: Array, *, ratio: float = 0.5, n_outputs: int = 1) -> Sequence[Array]:
    """Below opset 12 always inference: x, and a mask of true."""
    return [x, np.ones(x.shape, dtype=bool)][:n_outputs]


@operator("Dropout", since=12, rounding=EXACT)
def dropout(
    x: Array,
    ratio: Array | None = None,
    training_mode: Array | None = None,
    *,
    seed: int | None = None,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """x, and a mask of true: inference, or training with a ratio of 0."""
    if training_mode is not None and training_mode.item() and (ratio is None or ratio.item() != 0):
        raise NotImplementedError(f"in training mode it {DRAWS}")
    return [x, np.ones(x.shape, dtype=bool)][:n_outputs]


def _standardized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    return np.asarray((x - mean(x, axes)) / np.sqrt(variance(x, axes) + epsilon))


def _group_standardized(x: Array, num_groups: int, epsilon: float) -> Array:
    grouped = x.reshape(x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups)
    return _standardized(grouped, (2,), epsilon).reshape(x.shape)
