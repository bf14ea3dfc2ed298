"""LRN in the many forms in which exporters and people write it, as onnx.parser text.

Each form computes y = x / (k + a · Σ x²)^β; the constants that it names are initializers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

ALPHA, BETA, K = 0.3, 0.75, 2.0
SHAPE = (2, 6, 5, 7)


def model(
    body: str,
    constants: dict[str, object],
    shape: Sequence[int | str] = SHAPE,
    opset: int = 17,
    type_: str = "float",
    inputs: str = "",
) -> onnx.ModelProto:
    """A model from x (and other inputs) to y."""
    dims = ",".join(str(dim) for dim in shape)
    text = (
        f'<ir_version: 8, opset_import: ["" : {opset}, "normdeploy" : 1]> '
        f"lrn ({type_}[{dims}] x {inputs}) => ({type_}[{dims}] y) {{ {body} }}"
    )
    parsed = onnx.parser.parse_model(text)
    real = {"float": np.float32, "float16": np.float16, "double": np.float64}[type_]
    for name, value in constants.items():
        array = np.asarray(value)
        array = array.astype(real if array.dtype.kind == "f" else np.int64)
        parsed.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(parsed, full_check=True)
    return parsed


SCALARS: dict[str, object] = {"alpha": ALPHA, "beta": BETA, "k": K, "one": [1]}
END = "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
"""From the window's mean v to y, as torch writes it."""


def band(channels: int, before: int, after: int) -> np.ndarray:
    """1.0 where j is in [i − before, i + after]."""
    return np.tri(channels, k=after) - np.tri(channels, k=-before - 1)


def slices(n: int, axis: int, length: int) -> tuple[str, dict[str, object]]:
    """t = the sum of n slices of p along an axis."""
    cuts = "  ".join(f"t{i} = Slice(p, st{i}, en{i}, ax)" for i in range(n))
    sums = "  ".join(
        f"{'t' if i == n - 1 else f'u{i}'} = Add({'t0' if i == 1 else f'u{i - 1}'}, t{i})"
        for i in range(1, n)
    )
    constants: dict[str, object] = {"ax": [axis]}
    for i in range(n):
        constants |= {f"st{i}": [i], f"en{i}": [i + length]}
    return f"{cuts}  {sums}", constants


_SLICES, _SLICE_CONSTANTS = slices(3, 1, 6)
_LOW, _HIGH = np.maximum(np.arange(6) - 1, 0), np.minimum(np.arange(6) + 2, 6)

# name -> (body, constants beyond SCALARS), n = 3 across channels on SHAPE
ACROSS: dict[str, tuple[str, dict[str, object]]] = {
    "torch": (
        "s = Mul(x, x)  r = Reshape(s, s5)  p = Pad(r, pads) "
        "a = AveragePool <kernel_shape=[3,1,1], count_include_pad=1> (p)  q = Squeeze(a, one)  "
        "v = Reshape(q, s4)  " + END,
        {"s5": [2, 1, 6, 5, -1], "pads": [0, 0, 1, 0, 0, 0, 0, 1, 0, 0], "one": [1], "s4": [2, 6, 5, 7]},
    ),
    "Pow 2, pool pads, merged plane": (
        "s = Pow(x, two)  r = Reshape(s, s4)  "
        "a = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (r) "
        " v = Reshape(a, back)  " + END,
        {"two": 2.0, "s4": [0, 1, 6, -1], "back": [2, 6, 5, 7]},
    ),
    "one-dimensional pool of transposed pixels": (
        "s = Mul(x, x)  t = Transpose <perm=[0,2,3,1]> (s)  r = Reshape(t, s3)  "
        "a = AveragePool <kernel_shape=[3], pads=[1,1], count_include_pad=1> (r)  "
        "w = Reshape(a, s4)  v = Transpose <perm=[0,3,1,2]> (w)  " + END,
        {"s3": [2, 35, 6], "s4": [2, 5, 7, 6]},
    ),
    "banded Conv of ones, alpha/n after": (
        "s = Mul(x, x)  c = Conv(s, w)  m = Mul(c, alpha_n)  b = Add(k, m)  d = Pow(b, beta)  y = Div(x, d)",
        {"w": band(6, 1, 1).reshape(6, 6, 1, 1), "alpha_n": ALPHA / 3},
    ),
    "banded Conv with alpha and k in it": (
        "s = Mul(x, x)  b = Conv(s, w, bias)  d = Pow(b, beta)  y = Div(x, d)",
        {"w": band(6, 1, 1).reshape(6, 6, 1, 1) * (ALPHA / 3), "bias": [K] * 6},
    ),
    "Conv of one channel": (
        "s = Mul(x, x)  u = Unsqueeze(s, one)  c = Conv <pads=[1,0,0,1,0,0]> (u, w)  v = Squeeze(c, one)  "
        + END,
        {"one": [1], "w": np.full((1, 1, 3, 1, 1), 1 / 3)},
    ),
    "sum of slices": (
        "s = Mul(x, x)  p = Pad(s, pads)  " + _SLICES + "  v = Div(t, n)  " + END,
        {"pads": [0, 1, 0, 0, 0, 1, 0, 0], "n": 3.0, **_SLICE_CONSTANTS},
    ),
    "padding by Concat": (
        "s = Mul(x, x)  p = Concat <axis=1> (zero, s, zero)  " + _SLICES + "  v = Div(t, n)  " + END,
        {"zero": np.zeros((2, 1, 5, 7)), "n": 3.0, **_SLICE_CONSTANTS},
    ),
    "slices stacked and reduced": (
        "s = Mul(x, x)  p = Pad(s, pads)  t0 = Slice(p, st0, en0, ax)  t1 = Slice(p, st1, en1, ax)  "
        "t2 = Slice(p, st2, en2, ax)  z0 = Unsqueeze(t0, new)  z1 = Unsqueeze(t1, new) "
        " z2 = Unsqueeze(t2, new)"
        "  z = Concat <axis=0> (z0, z1, z2)  v = ReduceMean <axes=[0], keepdims=0> (z)  " + END,
        {"pads": [0, 1, 0, 0, 0, 1, 0, 0], "new": [0], **_SLICE_CONSTANTS},
    ),
    "one channel after the other": (
        "s = Mul(x, x)  "
        + "  ".join(f"c{i} = Slice(s, lo{i}, hi{i}, one)  r{i} = ReduceSum(c{i}, one)" for i in range(6))
        + "  t = Concat <axis=1> (r0, r1, r2, r3, r4, r5)  v = Div(t, n)  "
        + END,
        {"one": [1], "n": 3.0}
        | {f"lo{i}": [int(_LOW[i])] for i in range(6)}
        | {f"hi{i}": [int(_HIGH[i])] for i in range(6)},
    ),
    "difference of running sums": (
        "s = Mul(x, x)  p = Pad(s, pads)  c = CumSum(p, axis)  h = Slice(c, st3, en3, ax)  "
        "l = Slice(c, st0, en0, ax)  t = Sub(h, l)  v = Div(t, n)  " + END,
        {
            "pads": [0, 2, 0, 0, 0, 1, 0, 0],
            "axis": 1,
            "ax": [1],
            "st3": [3],
            "en3": [9],
            "st0": [0],
            "en0": [6],
            "n": 3.0,
        },
    ),
    "gathered channels": (
        "s = Mul(x, x)  p = Pad(s, pads)  g0 = Gather <axis=1> (p, i0)  g1 = Gather <axis=1> (p, i1)  "
        "g2 = Gather <axis=1> (p, i2)  t = Sum(g0, g1, g2)  v = Div(t, n)  " + END,
        {"pads": [0, 1, 0, 0, 0, 1, 0, 0], "n": 3.0} | {f"i{i}": list(range(i, i + 6)) for i in range(3)},
    ),
    "torch's TorchScript exporter: If on a known shape": (
        "s = Mul(x, x)  r = Reshape(s, s5)  p = Pad(r, pads)  "
        "a = AveragePool <kernel_shape=[3,1,1], count_include_pad=1> (p)  sh = Shape(a) "
        " g = Gather(sh, one)  "
        "e = Equal(g, one)  q = If(e) <then_branch = t () => (float[2,6,5,7] tq) { tq = Squeeze(a, one) }, "
        "else_branch = f () => (float[2,1,6,5,7] fq) { fq = Identity(a) }>  v = Reshape(q, s4)  " + END,
        {"s5": [2, 1, 6, 5, -1], "pads": [0, 0, 1, 0, 0, 0, 0, 1, 0, 0], "one": [1], "s4": [2, 6, 5, 7]},
    ),
}

_POOL = (
    "s = Mul(x, x)  u = Unsqueeze(s, one)  "
    "a = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u) "
    " v = Squeeze(a, one)  "
)
_BASE = _POOL + "m = Mul(v, alpha)  b = Add(m, k)  "
ENDS: dict[str, tuple[str, dict[str, object]]] = {
    "k first": (_POOL + "m = Mul(alpha, v)  b = Add(k, m)  d = Pow(b, beta)  y = Div(x, d)", {}),
    "k by Sub": (
        _POOL + "m = Mul(v, alpha)  b = Sub(m, minus_k)  d = Pow(b, beta)  y = Div(x, d)",
        {"minus_k": -K},
    ),
    "alpha by Div": (
        _POOL + "m = Div(v, inverse)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)",
        {"inverse": 1 / ALPHA},
    ),
    "alpha around k": (
        _POOL + "j = Add(v, ka)  b = Mul(j, alpha)  d = Pow(b, beta)  y = Div(x, d)",
        {"ka": K / ALPHA},
    ),
    "constants of one number for each channel": (
        _POOL + "m = Mul(v, alphas)  b = Add(m, ks)  d = Pow(b, beta)  y = Div(x, d)",
        {"alphas": np.full((1, 6, 1, 1), ALPHA), "ks": np.full((1, 6, 1, 1), K)},
    ),
    "alpha in the square": (
        "x2 = Mul(x, root)  s = Mul(x2, x2)  u = Unsqueeze(s, one)  "
        "a = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u)  "
        "v = Squeeze(a, one)  b = Add(v, k)  d = Pow(b, beta)  y = Div(x, d)",
        {"root": np.sqrt(ALPHA)},
    ),
    "alpha before the window": (
        "s0 = Mul(x, x)  s = Mul(s0, alpha)  u = Unsqueeze(s, one)  "
        "a = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u)  "
        "v = Squeeze(a, one)  b = Add(v, k)  d = Pow(b, beta)  y = Div(x, d)",
        {},
    ),
    "times a negative power": (_BASE + "d = Pow(b, minus)  y = Mul(x, d)", {"minus": -BETA}),
    "power first in the product": (_BASE + "d = Pow(b, minus)  y = Mul(d, x)", {"minus": -BETA}),
    "times a reciprocal": (_BASE + "d = Pow(b, beta)  e = Reciprocal(d)  y = Mul(x, e)", {}),
    "times 1 over it": (_BASE + "d = Pow(b, beta)  e = Div(unit, d)  y = Mul(x, e)", {"unit": 1.0}),
    "product of roots": (_BASE + "r = Sqrt(b)  rr = Sqrt(r)  d = Mul(r, rr)  y = Div(x, d)", {}),
    "one root after the other": (_BASE + "r = Sqrt(b)  rr = Sqrt(r)  z = Div(x, r)  y = Div(z, rr)", {}),
    "quotient of base and root": (_BASE + "r = Sqrt(b)  rr = Sqrt(r)  d = Div(b, rr)  y = Div(x, d)", {}),
    "cube of a root": (
        _BASE + "r = Sqrt(b)  rr = Sqrt(r)  d = Pow(rr, three)  y = Div(x, d)",
        {"three": 3.0},
    ),
    "exponential of a logarithm": (
        _BASE + "l = Log(b)  m2 = Mul(l, minus)  e = Exp(m2)  y = Mul(x, e)",
        {"minus": -BETA},
    ),
    "negated logarithm": (
        _BASE + "l = Log(b)  m2 = Mul(beta, l)  g = Neg(m2)  e = Exp(g)  y = Mul(x, e)",
        {},
    ),
}

_WITHIN_END = "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)"
_ROW_CUTS = "  ".join(f"c{i}{j} = Slice(p, st{i}{j}, en{i}{j}, hw)" for i in range(3) for j in range(3))
_CUTS: dict[str, object] = {"hw": [2, 3]}
for _i in range(3):
    for _j in range(3):
        _CUTS |= {f"st{_i}{_j}": [_i, _j], f"en{_i}{_j}": [_i + 5, _j + 7]}
WITHIN: dict[str, tuple[str, dict[str, object]]] = {
    "torch": (
        "s = Mul(x, x)  p = Pad(s, pads)  v = AveragePool <kernel_shape=[3,3]> (p)  " + _WITHIN_END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1]},
    ),
    "pool with pads": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (s)  "
        + _WITHIN_END,
        {},
    ),
    "pool with SAME_UPPER": (
        "s = Mul(x, x)  "
        'v = AveragePool <kernel_shape=[3,3], auto_pad="SAME_UPPER", count_include_pad=1> (s)  '
        + _WITHIN_END,
        {},
    ),
    "two pools": (
        "s = Mul(x, x)  h = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (s)  "
        "v = AveragePool <kernel_shape=[1,3], pads=[0,1,0,1], count_include_pad=1> (h)  " + _WITHIN_END,
        {},
    ),
    "depthwise Conv": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + _WITHIN_END,
        {"w": np.full((6, 1, 3, 3), 1 / 9)},
    ),
    "Conv of planes": (
        "s = Mul(x, x)  r = Reshape(s, planes)  c = Conv <pads=[1,1,1,1]> (r, w)  v = Reshape(c, s4)  "
        + _WITHIN_END,
        {"w": np.full((1, 1, 3, 3), 1 / 9), "planes": [12, 1, 5, 7], "s4": [2, 6, 5, 7]},
    ),
    "dense Conv with a diagonal": (
        "s = Mul(x, x)  v = Conv <pads=[1,1,1,1]> (s, w)  " + _WITHIN_END,
        {"w": np.eye(6).reshape(6, 6, 1, 1) * np.full((1, 1, 3, 3), 1 / 9)},
    ),
    "nine slices": (
        "s = Mul(x, x)  p = Pad(s, pads)  "
        + _ROW_CUTS
        + "  t = Sum(c00, c01, c02, c10, c11, c12, c20, c21, c22)  v = Div(t, nine)  "
        + _WITHIN_END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "nine": 9.0, **_CUTS},
    ),
    "in NHWC": (
        "s = Mul(x, x)  t = Transpose <perm=[0,2,3,1]> (s)  p = Pad(t, pads) "
        " c = Transpose <perm=[0,3,1,2]> (p) "
        "v = AveragePool <kernel_shape=[3,3]> (c)  " + _WITHIN_END,
        {"pads": [0, 1, 1, 0, 0, 1, 1, 0]},
    ),
}

# name -> (body, constants, words of the reason)
NEAR_MISSES: dict[str, tuple[str, dict[str, object], str]] = {
    "divisor without the padding": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (s)  " + _WITHIN_END,
        {},
        "divides by the number of elements inside the border",
    ),
    "dilated convolution": (
        "s = Mul(x, x)  v = Conv <group=6, dilations=[2,2], pads=[2,2,2,2]> (s, w)  " + _WITHIN_END,
        {"w": np.full((6, 1, 3, 3), 1 / 9)},
        "dilations [2, 2]",
    ),
    "strided pool that keeps the size": (
        "s = Mul(x, x)  p = Pad(s, pads) "
        " v = AveragePool <kernel_shape=[3,3], strides=[2,2], ceil_mode=1> (p)  " + _WITHIN_END,
        {"pads": [0, 0, 3, 4, 0, 0, 3, 4]},
        "strides [2, 2]",
    ),
    "over one spatial axis": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (s)  "
        + _WITHIN_END,
        {},
        "spans the axes [2]",
    ),
    "over the batch": (
        "s = Mul(x, x)  t = Transpose <perm=[1,2,0,3]> (s)  "
        "a = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (t)  "
        "v = Transpose <perm=[2,0,1,3]> (a)  " + _WITHIN_END,
        {},
        "spans the axes [0]",
    ),
    "not square": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,5], pads=[1,2,1,2], count_include_pad=1> (s)  "
        + _WITHIN_END,
        {},
        "not a square: 3 × 5",
    ),
    "another numerator": (
        "o = Relu(x)  s = Mul(x, x) "
        " v = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (s) "
        "m = Mul(v, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(o, d)",
        {},
        "normalizes 'o' by the squares of another tensor, 'x'",
    ),
    "padding that is not zero": (
        "s = Mul(x, x)  p = Pad(s, pads, unit)  v = AveragePool <kernel_shape=[3,3]> (p)  " + _WITHIN_END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "unit": 1.0},
        "not with zeros",
    ),
    "padding by reflection": (
        's = Mul(x, x)  p = Pad <mode="reflect"> (s, pads)  v = AveragePool <kernel_shape=[3,3]> (p)  '
        + _WITHIN_END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1]},
        "not with zeros",
    ),
    "a kernel that is not flat": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + _WITHIN_END,
        {"w": np.array([1.0, 2, 1, 2, 4, 2, 1, 2, 1] * 6).reshape(6, 1, 3, 3)},
        "not all equal: 3",
    ),
    "a cross instead of a box": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + _WITHIN_END,
        {"w": np.array([0.0, 1, 0, 1, 1, 1, 0, 1, 0] * 6).reshape(6, 1, 3, 3)},
        "not a box",
    ),
    "learned mixing of channels": (
        "s = Mul(x, x)  v = Conv(s, w)  " + _WITHIN_END,
        {"w": np.random.default_rng(0).random((6, 6, 1, 1))},
        "not all equal: 36",
    ),
    "groups of channels": (
        "s = Mul(x, x)  v = Conv(s, w)  " + _WITHIN_END,
        {"w": np.kron(np.eye(2), np.ones((3, 3))).reshape(6, 6, 1, 1)},
        "differs from position to position",
    ),
    "a bias that differs": (
        "s = Mul(x, x)  b = Conv(s, w, bias)  d = Pow(b, beta)  y = Div(x, d)",
        {"w": band(6, 1, 1).reshape(6, 6, 1, 1), "bias": np.arange(1.0, 7)},
        "bias differs",
    ),
    "the window beside the element": (
        "s = Mul(x, x)  u = Unsqueeze(s, one)  "
        "a = AveragePool <kernel_shape=[3,1,1], pads=[2,0,0,0,0,0], count_include_pad=1> (u) "
        " v = Squeeze(a, one)  " + END,
        {"one": [1]},
        "window [-2, 0] is not the operator's",
    ),
    "a mirrored even window": (
        "s = Mul(x, x)  u = Unsqueeze(s, one)  "
        "a = AveragePool <kernel_shape=[4,1,1], pads=[2,0,0,1,0,0], count_include_pad=1> (u) "
        " v = Squeeze(a, one)  " + END,
        {"one": [1]},
        "window [-2, 1] is not the operator's",
    ),
    "an even window, which onnxruntime refuses": (
        "s = Mul(x, x)  u = Unsqueeze(s, one)  "
        "a = AveragePool <kernel_shape=[4,1,1], pads=[1,0,0,2,0,0], count_include_pad=1> (u) "
        " v = Squeeze(a, one)  " + END,
        {"one": [1]},
        "size 4 is even",
    ),
    "k of zero, which TensorRT refuses": (
        _POOL + "b = Mul(v, alpha)  d = Pow(b, beta)  y = Div(x, d)",
        {"one": [1]},
        "k 0 is outside",
    ),
    "a window over merged axes": (
        "s = Mul(x, x)  r = Reshape(s, s4)  "
        "a = AveragePool <kernel_shape=[1,3], pads=[0,1,0,1], count_include_pad=1> (r) "
        " v = Reshape(a, back)  " + END,
        {"s4": [2, 1, 6, 35], "back": [2, 6, 5, 7]},
        "merged",
    ),
    "the window taken twice": (
        _POOL + "u2 = Unsqueeze(v, one)  "
        "a2 = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u2)  "
        "v2 = Squeeze(a2, one)  m = Mul(v2, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)",
        {"one": [1]},
        "weights in its window differ",
    ),
}

UNRELATED: dict[str, tuple[str, dict[str, object]]] = {
    "softsign's cousin": ("s = Mul(x, x)  b = Add(s, k)  d = Sqrt(b)  y = Div(x, d)", {}),
    "layer normalization": (
        "mean = ReduceMean <axes=[-1]> (x)  c = Sub(x, mean)  s = Mul(c, c)  v = ReduceMean <axes=[-1]> (s)  "
        "b = Add(v, k)  d = Sqrt(b)  y = Div(c, d)",
        {},
    ),
    "instance normalization": (
        "mean = ReduceMean <axes=[2,3]> (x)  c = Sub(x, mean)  s = Mul(c, c) "
        " v = ReduceMean <axes=[2,3]> (s)  "
        "b = Add(v, k)  d = Sqrt(b)  y = Div(c, d)",
        {},
    ),
    "division by a constant": ("y = Div(x, k)", {}),
    "gating": ("g = Sigmoid(x)  y = Mul(x, g)", {}),
}
