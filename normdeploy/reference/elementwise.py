"""Arithmetic and mathematical functions of single elements, with NumPy's (multidirectional) broadcasting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from normdeploy.budget import check_budget, require_memory
from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.rounding_model import (
    CORRECTLY_ROUNDED,
    EXACT,
    FUNCTION,
    Deviation,
    Keywords,
    RoundingModel,
    function,
)
from normdeploy.reference.signature import operator


def require_broadcast(*arrays: Array) -> None:
    """Check that the tensor that these broadcast to fits into memory."""
    if len({array.shape for array in arrays}) > 1:
        require_memory(np.broadcast_shapes(*(array.shape for array in arrays)))


@operator("Add", since=7, rounding=CORRECTLY_ROUNDED)
def add(a: Array, b: Array) -> Array:
    """a + b."""
    require_broadcast(a, b)
    return a + b


@operator("Sub", since=7, rounding=CORRECTLY_ROUNDED)
def sub(a: Array, b: Array) -> Array:
    """a − b."""
    require_broadcast(a, b)
    return a - b


@operator("Mul", since=7, rounding=CORRECTLY_ROUNDED)
def mul(a: Array, b: Array) -> Array:
    """a · b."""
    require_broadcast(a, b)
    return a * b


@operator("Div", since=7, rounding=CORRECTLY_ROUNDED)
def div(a: Array, b: Array) -> Array:
    """a / b; integers are divided towards zero."""
    require_broadcast(a, b)
    if is_floating(a.dtype):
        return a / b
    quotient, remainder = np.divmod(a, b)
    return np.asarray(quotient + ((remainder != 0) & ((a < 0) != (b < 0))), dtype=a.dtype)


@operator("Mod", since=10, rounding=CORRECTLY_ROUNDED)
def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    """a modulo b. The sign follows the divisor b, or with fmod the dividend a, as in C."""
    require_broadcast(a, b)
    return np.asarray(np.fmod(a, b) if fmod else np.mod(a, b))


@operator("Pow", since=7, rounding=function(1.0))  # CUDA 4 ulp
def pow_(x: Array, y: Array) -> Array:
    """x to the power of y, in the type of the base x."""
    require_broadcast(x, y)
    if not is_floating(x.dtype) and not is_floating(y.dtype) and np.any(y < 0):
        return np.power(x.astype(np.float64), y).astype(x.dtype)
    return np.power(x, y).astype(x.dtype, copy=False)


def _rounding_of_sum(divided: bool) -> RoundingModel:
    """Each addition but the last, whose error is that of storing, errs by a partial sum."""

    def results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
        partial, squares = inputs[0], 0.0
        for array in inputs[1:-1]:
            partial = partial + array
            squares = squares + np.square(partial)
        last = 0.5 if divided and len(inputs) > 1 else 0.0
        return (Deviation(last, np.sqrt(squares) / (len(inputs) if divided else 1)),)

    return RoundingModel(results)


@operator("Sum", since=6, rounding=_rounding_of_sum(divided=False))
def sum_(*data: Array) -> Array:
    """The sum of all inputs, element by element."""
    require_broadcast(*data)
    return reduce(np.add, data)


@operator("Mean", since=6, rounding=_rounding_of_sum(divided=True))
def mean(*data: Array) -> Array:
    """The mean of all inputs, element by element."""
    require_broadcast(*data)
    return reduce(np.add, data) / len(data)


@operator("Max", since=6, rounding=EXACT)
def max_(*data: Array) -> Array:
    """The largest of all inputs, element by element; NaN wins."""
    require_broadcast(*data)
    return reduce(np.maximum, data)


@operator("Min", since=6, rounding=EXACT)
def min_(*data: Array) -> Array:
    """The smallest of all inputs, element by element; NaN wins."""
    require_broadcast(*data)
    return reduce(np.minimum, data)


@operator("Clip", since=6, rounding=EXACT)
def clip_between_attributes(
    x: Array,
    *,
    min: float = -3.4028234663852886e38,  # noqa: A002
    max: float = 3.4028234663852886e38,  # noqa: A002
) -> Array:
    """min(max(x, low), high), by default the limits of float32. Below opset 11 the bounds are attributes."""
    return np.minimum(np.maximum(x, min), max)


@operator("Clip", since=11, rounding=EXACT)
def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """min(max(x, low), high): the upper bound wins where they cross. A bound left out does not bind."""
    if low is not None:
        x = np.maximum(x, low)
    if high is not None:
        x = np.minimum(x, high)
    return x


@operator("Abs", since=6, rounding=EXACT)
def abs_(x: Array) -> Array:
    """|x|."""
    return np.abs(x)


@operator("Neg", since=6, rounding=EXACT)
def neg(x: Array) -> Array:
    """−x."""
    return np.negative(x)


@operator("Sign", since=9, rounding=EXACT)
def sign(x: Array) -> Array:
    """−1, 0 or 1; NaN stays NaN."""
    return np.sign(x)


@operator("Reciprocal", since=6, rounding=CORRECTLY_ROUNDED)
def reciprocal(x: Array) -> Array:
    """1 / x."""
    return np.reciprocal(x)


@operator("Sqrt", since=6, rounding=CORRECTLY_ROUNDED)
def sqrt(x: Array) -> Array:
    """√x; NaN below 0."""
    return np.sqrt(x)


@operator("Exp", since=6, rounding=FUNCTION)
def exp(x: Array) -> Array:
    """eˣ."""
    return np.exp(x)


@operator("Log", since=6, rounding=function(1.0))  # onnxruntime 4.1 u near 1
def log(x: Array) -> Array:
    """ln x; −∞ at 0, NaN below."""
    return np.log(x)


@operator("Ceil", since=6, rounding=EXACT)
def ceil(x: Array) -> Array:
    """The smallest integer not below x."""
    return np.ceil(x)


@operator("Floor", since=6, rounding=EXACT)
def floor(x: Array) -> Array:
    """The largest integer not above x."""
    return np.floor(x)


@operator("Round", since=11, rounding=EXACT)
def round_(x: Array) -> Array:
    """The nearest integer; halves go to the even neighbour."""
    return np.rint(x)


@operator("Sin", since=7, rounding=FUNCTION)
def sin(x: Array) -> Array:
    """sin x, x in radians."""
    return np.sin(x)


@operator("Cos", since=7, rounding=FUNCTION)
def cos(x: Array) -> Array:
    """cos x, x in radians."""
    return np.cos(x)


@operator("Tan", since=7, rounding=FUNCTION)
def tan(x: Array) -> Array:
    """tan x, x in radians."""
    return np.tan(x)


@operator("Asin", since=7, rounding=function(3.0))  # onnxruntime 7.2 u
def asin(x: Array) -> Array:
    """arcsin x in [−π/2, π/2]; NaN outside [−1, 1]."""
    return np.arcsin(x)


@operator("Acos", since=7, rounding=function(1.5))  # onnxruntime 4.6 u
def acos(x: Array) -> Array:
    """arccos x in [0, π]; NaN outside [−1, 1]."""
    return np.arccos(x)


@operator("Atan", since=7, rounding=function(1.5))  # onnxruntime 4.7 u
def atan(x: Array) -> Array:
    """arctan x in [−π/2, π/2]."""
    return np.arctan(x)


@operator("Sinh", since=9, rounding=FUNCTION)
def sinh(x: Array) -> Array:
    """(eˣ − e⁻ˣ) / 2."""
    return np.sinh(x)


@operator("Cosh", since=9, rounding=FUNCTION)
def cosh(x: Array) -> Array:
    """(eˣ + e⁻ˣ) / 2."""
    return np.cosh(x)


@operator("Asinh", since=9, rounding=FUNCTION)
def asinh(x: Array) -> Array:
    """ln(x + √(x² + 1))."""
    return np.arcsinh(x)


@operator("Acosh", since=9, rounding=FUNCTION)
def acosh(x: Array) -> Array:
    """ln(x + √(x² − 1)); NaN below 1."""
    return np.arccosh(x)


@operator("Atanh", since=9, rounding=FUNCTION)
def atanh(x: Array) -> Array:
    """½ ln((1 + x) / (1 − x)); NaN outside [−1, 1]."""
    return np.arctanh(x)


_erf = np.frompyfunc(math.erf, 1, 1)
_PIECE = 2**16
"""Elements of which `math.erf`, which takes one at a time, is computed between two looks at the budget."""


@operator("Erf", since=9, rounding=FUNCTION)
def erf(x: Array) -> Array:
    """The error function (2/√π) ∫₀ˣ exp(−t²) dt."""
    y = np.empty(x.size)
    flat = x.reshape(-1)
    for start in range(0, x.size, _PIECE):
        check_budget()
        y[start : start + _PIECE] = _erf(flat[start : start + _PIECE])
    return y.reshape(x.shape)
