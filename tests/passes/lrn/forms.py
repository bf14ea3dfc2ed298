"""LRN in the many forms in which exporters and people write it.

Each computes y = x / (k + a · Σ x²)^β; name -> (body, constants beyond SCALARS).
"""

from __future__ import annotations

import numpy as np

from tests.passes.lrn.written import ALPHA, BETA, END, POOL, K, band, slices

_SLICES, _SLICE_CONSTANTS = slices(3, 1, 6)
_LOW, _HIGH = np.maximum(np.arange(6) - 1, 0), np.minimum(np.arange(6) + 2, 6)

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
"""n = 3 across channels, on SHAPE."""

_BASE = POOL + "m = Mul(v, alpha)  b = Add(m, k)  "
ENDS: dict[str, tuple[str, dict[str, object]]] = {
    "k first": (POOL + "m = Mul(alpha, v)  b = Add(k, m)  d = Pow(b, beta)  y = Div(x, d)", {}),
    "k by Sub": (
        POOL + "m = Mul(v, alpha)  b = Sub(m, minus_k)  d = Pow(b, beta)  y = Div(x, d)",
        {"minus_k": -K},
    ),
    "alpha by Div": (
        POOL + "m = Div(v, inverse)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)",
        {"inverse": 1 / ALPHA},
    ),
    "alpha around k": (
        POOL + "j = Add(v, ka)  b = Mul(j, alpha)  d = Pow(b, beta)  y = Div(x, d)",
        {"ka": K / ALPHA},
    ),
    "constants of one number for each channel": (
        POOL + "m = Mul(v, alphas)  b = Add(m, ks)  d = Pow(b, beta)  y = Div(x, d)",
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

_ROW_CUTS = "  ".join(f"c{i}{j} = Slice(p, st{i}{j}, en{i}{j}, hw)" for i in range(3) for j in range(3))
_CUTS: dict[str, object] = {"hw": [2, 3]}
for _i in range(3):
    for _j in range(3):
        _CUTS |= {f"st{_i}{_j}": [_i, _j], f"en{_i}{_j}": [_i + 5, _j + 7]}
WITHIN: dict[str, tuple[str, dict[str, object]]] = {
    "torch": (
        "s = Mul(x, x)  p = Pad(s, pads)  v = AveragePool <kernel_shape=[3,3]> (p)  " + END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1]},
    ),
    "pool with pads": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (s)  "
        + END,
        {},
    ),
    "pool with SAME_UPPER": (
        "s = Mul(x, x)  "
        'v = AveragePool <kernel_shape=[3,3], auto_pad="SAME_UPPER", count_include_pad=1> (s)  ' + END,
        {},
    ),
    "two pools": (
        "s = Mul(x, x)  h = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (s)  "
        "v = AveragePool <kernel_shape=[1,3], pads=[0,1,0,1], count_include_pad=1> (h)  " + END,
        {},
    ),
    "depthwise Conv": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + END,
        {"w": np.full((6, 1, 3, 3), 1 / 9)},
    ),
    "Conv of planes": (
        "s = Mul(x, x)  r = Reshape(s, planes)  c = Conv <pads=[1,1,1,1]> (r, w)  v = Reshape(c, s4)  " + END,
        {"w": np.full((1, 1, 3, 3), 1 / 9), "planes": [12, 1, 5, 7], "s4": [2, 6, 5, 7]},
    ),
    "dense Conv with a diagonal": (
        "s = Mul(x, x)  v = Conv <pads=[1,1,1,1]> (s, w)  " + END,
        {"w": np.eye(6).reshape(6, 6, 1, 1) * np.full((1, 1, 3, 3), 1 / 9)},
    ),
    "nine slices": (
        "s = Mul(x, x)  p = Pad(s, pads)  "
        + _ROW_CUTS
        + "  t = Sum(c00, c01, c02, c10, c11, c12, c20, c21, c22)  v = Div(t, nine)  "
        + END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "nine": 9.0, **_CUTS},
    ),
    "in NHWC": (
        "s = Mul(x, x)  t = Transpose <perm=[0,2,3,1]> (s)  p = Pad(t, pads) "
        " c = Transpose <perm=[0,3,1,2]> (p) "
        "v = AveragePool <kernel_shape=[3,3]> (c)  " + END,
        {"pads": [0, 1, 1, 0, 0, 1, 1, 0]},
    ),
}
"""n = 3 within a channel, on SHAPE."""
