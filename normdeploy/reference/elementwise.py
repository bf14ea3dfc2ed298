"""Arithmetic and mathematical functions of single elements, with NumPy's (multidirectional) broadcasting."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.signature import operator
from normdeploy.resources import require_memory


def require_broadcast(*arrays: Array) -> None:
    """Check that the tensor that these broadcast to fits into memory."""
    if len({array.shape for array in arrays}) > 1:
        require_memory(np.broadcast_shapes(*(array.shape for array in arrays)))


@operator("Add", since=7)
def add(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return a + b


@operator("Sub", since=7)
def sub(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return a - b


@operator("Mul", since=7)
def mul(a: Array, b: Array) -> Array:
    require_broadcast(a, b)
    return a * b


@operator("Div", since=7)
def div(a: Array, b: Array) -> Array:
    """Integers are divided towards zero."""
    require_broadcast(a, b)
    if is_floating(a.dtype):
        return a / b
    quotient, remainder = np.divmod(a, b)
    return np.asarray(quotient + ((remainder != 0) & ((a < 0) != (b < 0))), dtype=a.dtype)


@operator("Mod", since=10)
def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    """The sign follows the divisor, or with fmod the dividend, as in C."""
    require_broadcast(a, b)
    return np.asarray(np.fmod(a, b) if fmod else np.mod(a, b))


@operator("Pow", since=7)
def pow_(x: Array, y: Array) -> Array:
    """The result has the base's type."""
    require_broadcast(x, y)
    if not is_floating(x.dtype) and not is_floating(y.dtype) and np.any(y < 0):
        return np.power(x.astype(np.float64), y).astype(x.dtype)
    return np.power(x, y).astype(x.dtype, copy=False)


@operator("Sum", since=6)
def sum_(*data: Array) -> Array:
    require_broadcast(*data)
    return reduce(np.add, data)


@operator("Mean", since=6)
def mean(*data: Array) -> Array:
    require_broadcast(*data)
    return reduce(np.add, data) / len(data)


@operator("Max", since=6)
def max_(*data: Array) -> Array:
    """NaN wins."""
    require_broadcast(*data)
    return reduce(np.maximum, data)


@operator("Min", since=6)
def min_(*data: Array) -> Array:
    """NaN wins."""
    require_broadcast(*data)
    return reduce(np.minimum, data)


@operator("Clip", since=6)
def clip_between_attributes(
    x: Array,
    *,
    min: float = -3.4028234663852886e38,  # noqa: A002
    max: float = 3.4028234663852886e38,  # noqa: A002
) -> Array:
    return np.minimum(np.maximum(x, min), max)


@operator("Clip", since=11)
def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """min(max(x, low), high): the upper bound wins where they cross."""
    if low is not None:
        x = np.maximum(x, low)
    if high is not None:
        x = np.minimum(x, high)
    return x


@operator("Abs", since=6)
def abs_(x: Array) -> Array:
    return np.abs(x)


@operator("Neg", since=6)
def neg(x: Array) -> Array:
    return np.negative(x)


@operator("Sign", since=9)
def sign(x: Array) -> Array:
    return np.sign(x)


@operator("Reciprocal", since=6)
def reciprocal(x: Array) -> Array:
    return np.reciprocal(x)


@operator("Sqrt", since=6)
def sqrt(x: Array) -> Array:
    return np.sqrt(x)


@operator("Exp", since=6)
def exp(x: Array) -> Array:
    return np.exp(x)


@operator("Log", since=6)
def log(x: Array) -> Array:
    return np.log(x)


@operator("Ceil", since=6)
def ceil(x: Array) -> Array:
    return np.ceil(x)


@operator("Floor", since=6)
def floor(x: Array) -> Array:
    return np.floor(x)


@operator("Round", since=11)
def round_(x: Array) -> Array:
    """Halves go to the even neighbour."""
    return np.rint(x)


@operator("Sin", since=7)
def sin(x: Array) -> Array:
    return np.sin(x)


@operator("Cos", since=7)
def cos(x: Array) -> Array:
    return np.cos(x)


@operator("Tan", since=7)
def tan(x: Array) -> Array:
    return np.tan(x)


@operator("Asin", since=7)
def asin(x: Array) -> Array:
    return np.arcsin(x)


@operator("Acos", since=7)
def acos(x: Array) -> Array:
    return np.arccos(x)


@operator("Atan", since=7)
def atan(x: Array) -> Array:
    return np.arctan(x)


@operator("Sinh", since=9)
def sinh(x: Array) -> Array:
    return np.sinh(x)


@operator("Cosh", since=9)
def cosh(x: Array) -> Array:
    return np.cosh(x)


@operator("Asinh", since=9)
def asinh(x: Array) -> Array:
    return np.arcsinh(x)


@operator("Acosh", since=9)
def acosh(x: Array) -> Array:
    return np.arccosh(x)


@operator("Atanh", since=9)
def atanh(x: Array) -> Array:
    return np.arctanh(x)


_erf = np.frompyfunc(math.erf, 1, 1)


@operator("Erf", since=9)
def erf(x: Array) -> Array:
    """(2/√π) ∫₀ˣ exp(−t²) dt."""
    return np.asarray(_erf(x), dtype=np.float64)
