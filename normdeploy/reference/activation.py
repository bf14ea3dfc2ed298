"""Activation functions; all of single elements except the Softmax family, which works along an axis.

Their rounding is that of their formulas, in the order in which kernels compute them: where 1 is added or
subtracted, what was an error relative to 1 stays. Figures for "onnxruntime" are the largest errors of its
float32 kernels over 200,000 arguments of each size between 1e-4 and 90.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.elementwise import erf
from normdeploy.reference.rounding_model import (
    CORRECTLY_ROUNDED,
    EXACT,
    FUNCTION,
    Deviation,
    Keywords,
    RoundingModel,
    absolute,
    function,
    relative_to_sum,
)
from normdeploy.reference.signature import operator


@operator("Relu", since=6, rounding=EXACT)
def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.asarray(np.maximum(x, x.dtype.type(0)))


@operator("LeakyRelu", since=6, rounding=CORRECTLY_ROUNDED)
def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    """x, or alpha · x where x < 0."""
    return np.where(x < 0, alpha * x, x)


@operator("PRelu", since=7, rounding=CORRECTLY_ROUNDED)
def prelu(x: Array, slope: Array) -> Array:
    """x, or slope · x where x < 0; the slope broadcasts to x (in one direction)."""
    return np.where(x < 0, slope * x, x)


@operator("ThresholdedRelu", since=10, rounding=EXACT)
def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    """x where x > alpha, else 0; NaN stays NaN."""
    return np.where(x > alpha, x, np.where(np.isnan(x), x, 0.0))


_SELU_ALPHA = 1.67326319217681884765625
_SELU_GAMMA = 1.05070102214813232421875


def _rounding_of_elu(x: Array, *, alpha: float = 1.0) -> Array:
    """exp(x) − 1 below 0 keeps the error of the exponential: onnxruntime 1.1 u · alpha."""
    return np.where(x < 0, 0.75 * abs(alpha), 0.0)


@operator("Elu", since=6, rounding=absolute(_rounding_of_elu, correctly_rounded=True))
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, or alpha · (eˣ − 1) where x < 0."""
    return np.where(x < 0, alpha * np.expm1(x), x)


def _rounding_of_selu(x: Array, *, alpha: float = _SELU_ALPHA, gamma: float = _SELU_GAMMA) -> Array:
    """As of Elu: onnxruntime 1.5 u · alpha · gamma."""
    return np.where(x < 0, abs(alpha * gamma), 0.0)


@operator("Selu", since=6, rounding=absolute(_rounding_of_selu))
def selu(x: Array, *, alpha: float = _SELU_ALPHA, gamma: float = _SELU_GAMMA) -> Array:
    """gamma · x, or gamma · alpha · (eˣ − 1) where x < 0."""
    return gamma * elu(x, alpha=alpha)


def _rounding_of_celu(x: Array, *, alpha: float = 1.0) -> Array:
    """As of Elu, after a division: onnxruntime 1.6 u · alpha."""
    return np.where(x < 0, abs(alpha), 0.0)


@operator("Celu", since=12, rounding=absolute(_rounding_of_celu, correctly_rounded=True))
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, or alpha · (exp(x / alpha) − 1) where x < 0."""
    return np.where(x < 0, alpha * np.expm1(x / alpha), x)


def _rounding_of_sigmoid(x: Array) -> float:
    """onnxruntime takes 1/2 plus an odd rational function: 2.3 u in the lower tail, 2.8 u near 1."""
    return 1.0


@operator("Sigmoid", since=6, rounding=absolute(_rounding_of_sigmoid))
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), by the exponential of −|x| so that it never overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def _rounding_of_hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """alpha · x is rounded before beta is added, where the result is not cut: 1 u at most."""
    product = alpha * x
    inside = np.abs(product + beta - 0.5) < 0.5 + 1e-6
    return np.where(inside, 0.5 * np.abs(product), 0.0)


@operator("HardSigmoid", since=6, rounding=absolute(_rounding_of_hard_sigmoid))
def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """alpha · x + beta, cut to [0, 1]."""
    return np.minimum(np.maximum(alpha * x + beta, 0.0), 1.0)


def _rounding_of_hard_swish(x: Array) -> Array:
    return np.abs(x) * _rounding_of_hard_sigmoid(x, alpha=1 / 6, beta=0.5)


@operator("HardSwish", since=14, rounding=absolute(_rounding_of_hard_swish, 0.5, correctly_rounded=True))
def hard_swish(x: Array) -> Array:
    """x · min(max(x / 6 + 1/2, 0), 1)."""
    return x * hard_sigmoid(x, alpha=1 / 6, beta=0.5)


def _rounding_of_swish(x: Array, *, alpha: float = 1.0) -> Array:
    """x times the error of Sigmoid, which has one of alpha · x besides."""
    return np.abs(x)


@operator("Swish", since=24, rounding=absolute(_rounding_of_swish, 0.5))
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    """x · sigmoid(alpha · x)."""
    return x * sigmoid(alpha * x)


@operator("Tanh", since=6, rounding=function(2.0))  # onnxruntime 5.3 u, relative everywhere
def tanh(x: Array) -> Array:
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)."""
    return np.tanh(x)


@operator("Softplus", since=1, rounding=function(2.0))  # onnxruntime 5.2 u
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(0.0, x)


@operator("Softsign", since=1, rounding=FUNCTION)
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1.0 + np.abs(x))


@operator("Mish", since=18, rounding=function(3.0))  # onnxruntime 8.5 u
def mish(x: Array) -> Array:
    """x · tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def _rounding_of_gelu(x: Array, *, approximate: str = "none") -> Array:
    """1 + erf and 1 + tanh cancel below 0: onnxruntime 0.8 u · |x| and 2.6 u · |x|."""
    return np.abs(x) * (1.0 if approximate == "tanh" else 0.4)


@operator("Gelu", since=20, rounding=absolute(_rounding_of_gelu, 0.5))
def gelu(x: Array, *, approximate: str = "none") -> Array:
    """x · Φ(x), Φ the normal distribution: by erf, or by tanh of a cubic (approximate = "tanh")."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2)))


@operator("Shrink", since=9, rounding=CORRECTLY_ROUNDED)
def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Array:
    """x + bias below −lambd, x − bias above lambd, 0 between them."""
    shrunk = np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, x - x))
    return shrunk.astype(x.dtype, copy=False)


def _shifted(x: Array, axes: Sequence[int]) -> Array:
    """x less its maximum along the axes."""
    return np.asarray(x - x.max(axis=tuple(axes), keepdims=True))


_Axes = Callable[[Keywords, Array], Sequence[int]]
"""(attributes, x) -> the axes that Softmax works along."""


def _one_axis(keywords: Keywords, x: Array) -> Sequence[int]:
    return (keywords.get("axis", -1),) if x.ndim else ()


def _all_axes_from(keywords: Keywords, x: Array) -> Sequence[int]:
    return range(keywords.get("axis", 1) % max(x.ndim, 1), x.ndim)


def _of_exponentials(x: Array, axes: Sequence[int]) -> float | Array:
    """The relative error of Σ exp(x − max(x)): of its terms, and of the sum."""
    return 1.0 + relative_to_sum(math.prod(x.shape[axis] for axis in axes))


_LOWEST = -104.0
"""Below it the exponential is 0 in float32."""


def _softmax_rounding(along: _Axes) -> RoundingModel:
    """d = x − max(x), e = exp(d), s = Σ e, y = e / s.

    d is rounded, by up to u·|d|: a relative error of e, to which the exponential and the quotient, half of u
    each, and the sum add theirs.
    """

    def results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
        x = inputs[0]
        if not x.size:
            return (Deviation(),)
        axes = along(keywords, x)
        of_argument = np.abs(np.maximum(_shifted(x, axes), _LOWEST))
        return (Deviation(of_argument + _of_exponentials(x, axes)),)

    return RoundingModel(results)


def _log_softmax_rounding(along: _Axes) -> RoundingModel:
    """y = d − log(s), d = x − max(x) and s = Σ exp(d): s errs relatively, so that log(s) errs absolutely."""

    def results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
        x = inputs[0]
        return (Deviation(1.0, _of_exponentials(x, along(keywords, x)) if x.size else 0.0),)

    return RoundingModel(results)


@operator("Softmax", since=13, rounding=_softmax_rounding(_one_axis))
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) along an axis."""
    powers: Array = np.exp(_shifted(x, (axis,)))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


@operator("LogSoftmax", since=13, rounding=_log_softmax_rounding(_one_axis))
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """x − log Σ exp(x) along an axis."""
    shifted = _shifted(x, (axis,))
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


@operator("Hardmax", since=13, rounding=EXACT)
def hardmax(x: Array, *, axis: int = -1) -> Array:
    """1 at the first maximum along an axis, else 0."""
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis=axis), axis), 1, axis)
    return y


@operator("Softmax", since=1, rounding=_softmax_rounding(_all_axes_from))
def softmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    """Below opset 13: exp(x) / Σ exp(x) over all axes from `axis` on together."""
    return softmax(_rows(x, axis), axis=1).reshape(x.shape)


@operator("LogSoftmax", since=1, rounding=_log_softmax_rounding(_all_axes_from))
def log_softmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    """Below opset 13: x − log Σ exp(x) over all axes from `axis` on together."""
    return log_softmax(_rows(x, axis), axis=1).reshape(x.shape)


@operator("Hardmax", since=1, rounding=EXACT)
def hardmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    """Below opset 13: 1 at the first maximum over all axes from `axis` on together, else 0."""
    return hardmax(_rows(x, axis), axis=1).reshape(x.shape)


def _rows(x: Array, axis: int) -> Array:
    """x as a matrix: the axes before `axis`, and the rest."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
