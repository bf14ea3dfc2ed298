"""Activation functions; all of single elements except the Softmax family, which works along an axis."""

from __future__ import annotations

import math

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.elementwise import erf
from normdeploy.reference.signature import operator


@operator("Relu", since=6)
def relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, x.dtype.type(0)))


@operator("LeakyRelu", since=6)
def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    return np.where(x < 0, alpha * x, x)


@operator("PRelu", since=7)
def prelu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, slope * x, x)


@operator("ThresholdedRelu", since=10)
def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x > alpha, x, np.where(np.isnan(x), x, 0.0))


@operator("Elu", since=6)
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, alpha * np.expm1(x), x)


@operator("Selu", since=6)
def selu(
    x: Array, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875
) -> Array:
    return gamma * elu(x, alpha=alpha)


@operator("Celu", since=12)
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, alpha * np.expm1(x / alpha), x)


@operator("Sigmoid", since=6)
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), by the exponential of −|x| so that it never overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


@operator("HardSigmoid", since=6)
def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.minimum(np.maximum(alpha * x + beta, 0.0), 1.0)


@operator("HardSwish", since=14)
def hard_swish(x: Array) -> Array:
    return x * hard_sigmoid(x, alpha=1 / 6, beta=0.5)


@operator("Swish", since=24)
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    return x * sigmoid(alpha * x)


@operator("Tanh", since=6)
def tanh(x: Array) -> Array:
    return np.tanh(x)


@operator("Softplus", since=1)
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(0.0, x)


@operator("Softsign", since=1)
def softsign(x: Array) -> Array:
    return x / (1.0 + np.abs(x))


@operator("Mish", since=18)
def mish(x: Array) -> Array:
    return x * np.tanh(softplus(x))


@operator("Gelu", since=20)
def gelu(x: Array, *, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2)))


@operator("Shrink", since=9)
def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Array:
    shrunk = np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, x - x))
    return shrunk.astype(x.dtype, copy=False)


@operator("Softmax", since=13)
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) along an axis."""
    powers: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


@operator("LogSoftmax", since=13)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    shifted: Array = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


@operator("Hardmax", since=13)
def hardmax(x: Array, *, axis: int = -1) -> Array:
    """1 at the first maximum along an axis, else 0."""
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis=axis), axis), 1, axis)
    return y


@operator("Softmax", since=1)
def softmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    """Below opset 13 the axes from `axis` on are taken together."""
    return softmax(_rows(x, axis), axis=1).reshape(x.shape)


@operator("LogSoftmax", since=1)
def log_softmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    return log_softmax(_rows(x, axis), axis=1).reshape(x.shape)


@operator("Hardmax", since=1)
def hardmax_of_rows(x: Array, *, axis: int = 1) -> Array:
    return hardmax(_rows(x, axis), axis=1).reshape(x.shape)


def _rows(x: Array, axis: int) -> Array:
    """x as a matrix: the axes before `axis`, and the rest."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
