"""Comparisons, logic and operations on bits."""

from __future__ import annotations

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.elementwise import require_broadcast
from normdeploy.reference.signature import operator


@operator("And", since=7)
def and_(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.logical_and(a, b)


@operator("Or", since=7)
def or_(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.logical_or(a, b)


@operator("Xor", since=7)
def xor(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.logical_xor(a, b)


@operator("Not", since=1)
def not_(x: Array) -> Array:
    return np.logical_not(x)


@operator("Equal", since=7)
def equal(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.equal(a, b)


@operator("Greater", since=7)
def greater(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.greater(a, b)


@operator("GreaterOrEqual", since=12)
def greater_or_equal(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.greater_equal(a, b)


@operator("Less", since=7)
def less(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.less(a, b)


@operator("LessOrEqual", since=12)
def less_or_equal(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.less_equal(a, b)


@operator("IsNaN", since=9)
def is_nan(x: Array) -> Array:
    return np.isnan(x)


@operator("IsInf", since=10)
def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    positive = np.isposinf(x) & bool(detect_positive)
    return np.asarray(positive | (np.isneginf(x) & bool(detect_negative)))


@operator("BitwiseAnd", since=18)
def bitwise_and(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.bitwise_and(a, b)


@operator("BitwiseOr", since=18)
def bitwise_or(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.bitwise_or(a, b)


@operator("BitwiseXor", since=18)
def bitwise_xor(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return np.bitwise_xor(a, b)


@operator("BitwiseNot", since=18)
def bitwise_not(x: Array) -> Array:
    return np.bitwise_not(x)


@operator("BitShift", since=11)
def bit_shift(x: Array, y: Array, *, direction: str) -> Array:
    """A shift by the type's width or more leaves 0 (or the sign, going right)."""
    require_broadcast(x, y)
    return np.left_shift(x, y) if direction == "LEFT" else np.right_shift(x, y)
