"""What comes close to LRN and is none, and what only divides like it."""

from __future__ import annotations

import numpy as np

from tests.passes.lrn.written import END, POOL, band

NEAR_MISSES: dict[str, tuple[str, dict[str, object], str]] = {
    "divisor without the padding": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (s)  " + END,
        {},
        "divides by the number of elements inside the border",
    ),
    "dilated convolution": (
        "s = Mul(x, x)  v = Conv <group=6, dilations=[2,2], pads=[2,2,2,2]> (s, w)  " + END,
        {"w": np.full((6, 1, 3, 3), 1 / 9)},
        "dilations [2, 2]",
    ),
    "strided pool that keeps the size": (
        "s = Mul(x, x)  p = Pad(s, pads) "
        " v = AveragePool <kernel_shape=[3,3], strides=[2,2], ceil_mode=1> (p)  " + END,
        {"pads": [0, 0, 3, 4, 0, 0, 3, 4]},
        "strides [2, 2]",
    ),
    "over one spatial axis": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (s)  "
        + END,
        {},
        "spans the axes [2]",
    ),
    "over the batch": (
        "s = Mul(x, x)  t = Transpose <perm=[1,2,0,3]> (s)  "
        "a = AveragePool <kernel_shape=[3,1], pads=[1,0,1,0], count_include_pad=1> (t)  "
        "v = Transpose <perm=[2,0,1,3]> (a)  " + END,
        {},
        "spans the axes [0]",
    ),
    "not square": (
        "s = Mul(x, x)  v = AveragePool <kernel_shape=[3,5], pads=[1,2,1,2], count_include_pad=1> (s)  "
        + END,
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
        "s = Mul(x, x)  p = Pad(s, pads, unit)  v = AveragePool <kernel_shape=[3,3]> (p)  " + END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "unit": 1.0},
        "not with zeros",
    ),
    "padding by reflection": (
        's = Mul(x, x)  p = Pad <mode="reflect"> (s, pads)  v = AveragePool <kernel_shape=[3,3]> (p)  ' + END,
        {"pads": [0, 0, 1, 1, 0, 0, 1, 1]},
        "not with zeros",
    ),
    "a kernel that is not flat": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + END,
        {"w": np.array([1.0, 2, 1, 2, 4, 2, 1, 2, 1] * 6).reshape(6, 1, 3, 3)},
        "not all equal: 3",
    ),
    "a cross instead of a box": (
        "s = Mul(x, x)  v = Conv <group=6, pads=[1,1,1,1]> (s, w)  " + END,
        {"w": np.array([0.0, 1, 0, 1, 1, 1, 0, 1, 0] * 6).reshape(6, 1, 3, 3)},
        "not a box",
    ),
    "learned mixing of channels": (
        "s = Mul(x, x)  v = Conv(s, w)  " + END,
        {"w": np.random.default_rng(0).random((6, 6, 1, 1))},
        "not all equal: 36",
    ),
    "groups of channels": (
        "s = Mul(x, x)  v = Conv(s, w)  " + END,
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
        POOL + "b = Mul(v, alpha)  d = Pow(b, beta)  y = Div(x, d)",
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
        POOL + "u2 = Unsqueeze(v, one)  "
        "a2 = AveragePool <kernel_shape=[3,1,1], pads=[1,0,0,1,0,0], count_include_pad=1> (u2)  "
        "v2 = Squeeze(a2, one)  m = Mul(v2, alpha)  b = Add(m, k)  d = Pow(b, beta)  y = Div(x, d)",
        {"one": [1]},
        "weights in its window differ",
    ),
}
"""name -> (body, constants beyond SCALARS, words of the reason)"""

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
"""name -> (body, constants beyond SCALARS)"""
