"""Comparisons, logic and operations on bits."""

from __future__ import annotations

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.elementwise import require_broadcast
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import operator


@operator("And", since=7, rounding=EXACT)
def and_(a: Array, b: Array) -> Array:
    """a and b, of booleans."""
    require_broadcast(a, b)
    return np.logical_and(a, b)


@operator("Or", since=7, rounding=EXACT)
def or_(a: Array, b: Array) -> Array:
    """a or b, of booleans."""
    require_broadcast(a, b)
    return np.logical_or(a, b)


@operator("Xor", since=7, rounding=EXACT)
def xor(a: Array, b: Array) -> Array:
    """Whether exactly one of a and b holds."""
    require_broadcast(a, b)
    return np.logical_xor(a, b)


@operator("Not", since=1, rounding=EXACT)
def not_(x: Array) -> Array:
    """Whether x does not hold."""
    return np.logical_not(x)


@operator("Equal", since=7, rounding=EXACT)
def equal(a: Array, b: Array) -> Array:
    """a = b; NaN equals nothing."""
    require_broadcast(a, b)
    return np.equal(a, b)


@operator("Greater", since=7, rounding=EXACT)
def greater(a: Array, b: Array) -> Array:
    """a > b."""
    require_broadcast(a, b)
    return np.greater(a, b)


@operator("GreaterOrEqual", since=12, rounding=EXACT)
def greater_or_equal(a: Array, b: Array) -> Array:
    """a ≥ b."""
    require_broadcast(a, b)
    return np.greater_equal(a, b)


@operator("Less", since=7, rounding=EXACT)
def less(a: Array, b: Array) -> Array:
    """a < b."""
    require_broadcast(a, b)
    return np.less(a, b)


@operator("LessOrEqual", since=12, rounding=EXACT)
def less_or_equal(a: Array, b: Array) -> Array:
    """a ≤ b."""
    require_broadcast(a, b)
    return np.less_equal(a, b)


@operator("IsNaN", since=9, rounding=EXACT)
def is_nan(x: Array) -> Array:
    """Whether x is NaN."""
    return np.isnan(x)


@operator("IsInf", since=10, rounding=EXACT)
def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    """Whether x is +∞ or −∞; either can be left out."""
    positive = np.isposinf(x) & bool(detect_positive)
    return np.asarray(positive | (np.isneginf(x) & bool(detect_negative)))


@operator("BitwiseAnd", since=18, rounding=EXACT)
def bitwise_and(a: Array, b: Array) -> Array:
    """The bits that are set in both integers."""
    require_broadcast(a, b)
    return np.bitwise_and(a, b)


@operator("BitwiseOr", since=18, rounding=EXACT)
def bitwise_or(a: Array, b: Array) -> Array:
    """The bits that are set in at least one of the integers."""
    require_broadcast(a, b)
    return np.bitwise_or(a, b)


@operator("BitwiseXor", since=18, rounding=EXACT)
def bitwise_xor(a: Array, b: Array) -> Array:
    """The bits that are set in exactly one of the integers."""
    require_broadcast(a, b)
    return np.bitwise_xor(a, b)


@operator("BitwiseNot", since=18, rounding=EXACT)
def bitwise_not(x: Array) -> Array:
    """All bits of an integer reversed."""
    return np.bitwise_not(x)


@operator("BitShift", since=11, rounding=EXACT)
def bit_shift(x: Array, y: Array, *, direction: str) -> Array:
    """x shifted by y bits. A shift by the type's width or more leaves 0 (or the sign, going right)."""
    require_broadcast(x, y)
    return np.left_shift(x, y) if direction == "LEFT" else np.right_shift(x, y)
