"""Activation functions; all of single elements except the Softmax family, which works along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.elementwise import erf
from normdeploy.reference.rounding_model import (
    BOUNDED_FUNCTION,
    CORRECTLY_ROUNDED,
    EXACT,
    FUNCTION,
    Keywords,
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


@operator("Elu", since=6, rounding=BOUNDED_FUNCTION)
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, or alpha · (eˣ − 1) where x < 0."""
    return np.where(x < 0, alpha * np.expm1(x), x)


@operator("Selu", since=6, rounding=BOUNDED_FUNCTION)
def selu(
    x: Array, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875
) -> Array:
    """gamma · x, or gamma · alpha · (eˣ − 1) where x < 0."""
    return gamma * elu(x, alpha=alpha)


@operator("Celu", since=12, rounding=BOUNDED_FUNCTION)
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, or alpha · (exp(x / alpha) − 1) where x < 0."""
    return np.where(x < 0, alpha * np.expm1(x / alpha), x)


@operator("Sigmoid", since=6, rounding=BOUNDED_FUNCTION)
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), by the exponential of −|x| so that it never overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


@operator("HardSigmoid", since=6, rounding=BOUNDED_FUNCTION)
def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """alpha · x + beta, cut to [0, 1]."""
    return np.minimum(np.maximum(alpha * x + beta, 0.0), 1.0)


@operator("HardSwish", since=14, rounding=BOUNDED_FUNCTION)
def hard_swish(x: Array) -> Array:
    """x · min(max(x / 6 + 1/2, 0), 1)."""
    return x * hard_sigmoid(x, alpha=1 / 6, beta=0.5)


@operator("Swish", since=24, rounding=BOUNDED_FUNCTION)
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    """x · sigmoid(alpha · x)."""
    return x * sigmoid(alpha * x)


@operator("Tanh", since=6, rounding=BOUNDED_FUNCTION)
def tanh(x: Array) -> Array:
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)."""
    return np.tanh(x)


@operator("Softplus", since=1, rounding=BOUNDED_FUNCTION)
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(0.0, x)


@operator("Softsign", since=1, rounding=FUNCTION)
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1.0 + np.abs(x))


@operator("Mish", since=18, rounding=BOUNDED_FUNCTION)
def mish(x: Array) -> Array:
    """x · tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


@operator("Gelu", since=20, rounding=BOUNDED_FUNCTION)
def gelu(x: Array, *, approximate: str = "none") -> Array:
    """x · Φ(x), Φ the normal distribution: by erf, or by tanh of a cubic (approximate = "tanh")."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2)))


@operator("Shrink", since=9, rounding=FUNCTION)
def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Array:
    """x + bias below −lambd, x − bias above lambd, 0 between them."""
    shrunk = np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, x - x))
    return shrunk.astype(x.dtype, copy=False)


def _axis_length(keywords: Keywords, inputs: Sequence[Any]) -> int:
    shape = inputs[0].shape
    return int(shape[keywords.get("axis", -1)]) if shape else 1


def _row_length(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return math.prod(inputs[0].shape[keywords.get("axis", 1) :])


@operator("Softmax", since=13, rounding=BOUNDED_FUNCTION.of_sum(_axis_length))
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) along an axis."""
    powers: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


@operator("LogSoftmax", since=13, rounding=BOUNDED_FUNCTION.of_sum(_axis_length))
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """x − log Σ exp(x) along an axis."""
    shifted: Array = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


@operator("Hardmax", since=13, rounding=EXACT)
def hardmax(x: Array, *, axis: int = -1) -> Array:
    """1 at the first maximum along an axis, else 0."""
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis=axis), axis), 1, axis)
    return y


@operator("Softmax", since=1, rounding=BOUNDED_FUNCTION.of_sum(_row_length))
def softmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    """Below opset 13: exp(x) / Σ exp(x) over all axes from `axis` on together."""
    return softmax(_rows(x, axis), axis=1).reshape(x.shape)


@operator("LogSoftmax", since=1, rounding=BOUNDED_FUNCTION.of_sum(_row_length))
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
