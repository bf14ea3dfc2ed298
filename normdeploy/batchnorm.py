"""Batch Normalization: what it is, and its NumPy definition.

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift", arXiv 1502.03167, Algorithm 1::

    μ = mean(x)    σ² = mean((x − μ)²)    x̂ = (x − μ) / √(σ² + ε)    y = γ · x̂ + β

γ (scale) and β (bias) are trained. The means run over

- the batch and all positions of a channel in convolutional practice (section 3.2), ONNX and torch: statistics
  of shape (C,);
- the batch alone "per activation", as the algorithm is written: statistics of shape (C, D1, ...).

At inference μ and σ² are constants, and the layer is the affine map y = a·x + b with a = γ/√(σ² + ε) and
b = β − a·μ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normdeploy.errors import InputError
from normdeploy.lrn import as_float64

ONNX_EPSILON = float(np.float32(1e-5))
"""What a node of ONNX has where it names no epsilon; attributes are float32, and so is their default."""


def affine(
    scale: ArrayLike, bias: ArrayLike, mean: ArrayLike, var: ArrayLike, epsilon: float = 1e-5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The layer at inference as y = a·x + b.

    Args:
        scale, bias, mean, var: γ, β, μ and σ², of shapes that broadcast against each other.
        epsilon: ε.

    Returns:
        a and b in float64. a is NaN where var + epsilon < 0, and infinite where it is 0.
    """
    scale, bias, mean, var = (np.asarray(p).astype(np.float64) for p in (scale, bias, mean, var))
    with np.errstate(all="ignore"):
        a = scale / np.sqrt(var + epsilon)
        return a, bias - a * mean


def batch_norm(
    x: NDArray[Any],
    scale: ArrayLike,
    bias: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    epsilon: float = 1e-5,
) -> NDArray[Any]:
    """Batch normalization with given statistics, as at inference: y = γ · (x − μ) / √(σ² + ε) + β in float64.

    Args:
        x: shape (N, C, D1, ...), rank 2 or more, float16 to float64 or bfloat16.
        scale, bias, mean, var: γ, β, μ and σ², shape (C,) per channel, or (C, D1, ...) per activation.
        epsilon: ε, added to the variance.

    Returns:
        An array of the shape and type of x; NaN where var + epsilon < 0.

    Raises:
        InputError: rank below 2, a parameter's shape is neither (C,) nor (C, D1, ...), or x is not floating
            point.
    """
    x = np.asarray(x)
    wide = as_float64(x, "batch normalization")
    scale, bias, mean, var = (_per_channel(p, x) for p in (scale, bias, mean, var))
    with np.errstate(all="ignore"):
        y = np.asarray(wide - mean)  # then in place: a map is large
        y /= np.sqrt(var + epsilon)
        y *= scale
        y += bias
    return y.astype(x.dtype, copy=False)


def batch_norm_train(
    x: NDArray[Any],
    scale: ArrayLike,
    bias: ArrayLike,
    epsilon: float = 1e-5,
    per_activation: bool = False,
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """Batch normalization with the mini-batch's own statistics, as in training (Algorithm 1), in float64.

    With γ = √(σ² + ε) and β = μ the input comes back.

    Args:
        x: shape (N, C, D1, ...), rank 2 or more, float16 to float64 or bfloat16.
        scale, bias: γ and β, shape (C,), or (C, D1, ...).
        epsilon: ε, added to the variance.
        per_activation: statistics for each (channel, position) over the batch, instead of for each channel.

    Returns:
        y of the shape and type of x; the mean; the biased variance (divided by the number of values, as in
        Algorithm 1). The statistics are float64, of shape (C,), or (C, D1, ...) per activation.

    Raises:
        InputError: rank below 2, an empty batch, a parameter's shape is neither (C,) nor (C, D1, ...), or x
            is not floating point.
    """
    x = np.asarray(x)
    wide = as_float64(x, "batch normalization")
    axes = (0,) if per_activation else (0, *range(2, x.ndim))
    if x.ndim < 2 or 0 in (x.shape[axis] for axis in axes):
        raise InputError(f"batch statistics need a batch of shape (N, C, D1, ...), got shape {x.shape}")
    with np.errstate(all="ignore"):
        mean, var = wide.mean(axis=axes), wide.var(axis=axes)
    return batch_norm(x, scale, bias, mean, var, epsilon), mean, var


def _per_channel(parameter: ArrayLike, x: NDArray[Any]) -> NDArray[np.float64]:
    """The parameter in float64, shaped so that it broadcasts against x."""
    array = np.asarray(parameter).astype(np.float64)
    if x.ndim < 2:
        raise InputError(f"batch normalization takes (N, C, D1, ...), rank 2 or more; got shape {x.shape}")
    if array.shape == x.shape[1:]:
        return array
    if array.shape == (x.shape[1],):
        return array.reshape(-1, *[1] * (x.ndim - 2))
    raise InputError(
        f"batch normalization of shape {x.shape} takes parameters of shape ({x.shape[1]},) or {x.shape[1:]}, "
        f"got {array.shape}"
    )
