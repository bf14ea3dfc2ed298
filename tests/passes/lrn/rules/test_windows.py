"""Padding and sums over windows in formulas are what the graph computes."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.passes.lrn.interpreter import Blocked
from normdeploy.passes.lrn.window_sums import WindowSums
from tests.passes.lrn.formulas import assert_understood, interpreted
from tests.passes.lrn.written import band, model

SHAPE = (2, 4, 5, 6)
X = np.random.default_rng(0).integers(-3, 4, SHAPE).astype(float)
BOX = np.full((4, 1, 3, 3), 0.5)

# name -> (body from x to y, constants, the shape of y)
SUMS: dict[str, tuple[str, dict[str, object], tuple[int, ...]]] = {
    "Pad": ("y = Pad(x, pads)", {"pads": [0, 1, 0, 0, 0, 2, 0, -1]}, (2, 7, 5, 5)),
    "AveragePool": ("y = AveragePool <kernel_shape = [3, 2]> (x)", {}, (2, 4, 3, 5)),
    "AveragePool that counts its padding": (
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (x)",
        {},
        SHAPE,
    ),
    "AveragePool with SAME_LOWER": (
        'y = AveragePool <kernel_shape = [2, 4], auto_pad = "SAME_LOWER", count_include_pad = 1> (x)',
        {},
        SHAPE,
    ),
    "AveragePool with SAME_UPPER": (
        'y = AveragePool <kernel_shape = [2, 4], auto_pad = "SAME_UPPER", count_include_pad = 1> (x)',
        {},
        SHAPE,
    ),
    "depthwise Conv": ("y = Conv <group = 4, pads = [1, 1, 1, 1]> (x, w)", {"w": BOX}, SHAPE),
    "Conv with a band": ("y = Conv(x, w)", {"w": 0.5 * band(4, 1, 2).reshape(4, 4, 1, 1)}, SHAPE),
    "Conv with a band and a bias": (
        "y = Conv(x, w, bias)",
        {"w": band(4, 1, 2).reshape(4, 4, 1, 1), "bias": [2.0] * 4},
        SHAPE,
    ),
    "Conv of a band and a box": (
        "y = Conv <pads = [1, 1, 1, 1]> (x, w)",
        {"w": 0.5 * band(4, 1, 0).reshape(4, 4, 1, 1) * np.ones((1, 1, 3, 3))},
        SHAPE,
    ),
    "Conv in groups": (
        "y = Conv <group = 2> (x, w)",
        {"w": np.ones((4, 2, 1, 1)) * 3.0},
        SHAPE,
    ),
    "Conv with a box that fills a part of its kernel": (
        "y = Conv <group = 4, pads = [1, 1, 1, 1]> (x, w)",
        {"w": np.stack([np.outer([0, 1, 1], [1, 1, 0]).astype(float)[None]] * 4)},
        SHAPE,
    ),
    "ReduceSum": ("y = ReduceSum(x, at)", {"at": [1]}, (2, 1, 5, 6)),
    "ReduceMean of two axes": ("y = ReduceMean <axes = [2, -1]> (x)", {}, (2, 4, 1, 1)),
    "ReduceSumSquare": ("y = ReduceSumSquare <axes = [1]> (x)", {}, (2, 1, 5, 6)),
    "ReduceSum of a new axis": (
        "u = Unsqueeze(x, at)  y = ReduceSum <keepdims = 0> (u, at)",
        {"at": [2]},
        SHAPE,
    ),
    "CumSum": ("y = CumSum(x, at)", {"at": 1}, SHAPE),
    "CumSum, exclusive": ("y = CumSum <exclusive = 1> (x, at)", {"at": 1}, SHAPE),
    "CumSum from the end": ("y = CumSum <reverse = 1> (x, at)", {"at": -3}, SHAPE),
}

# name -> (body from the square s to y, constants, the shape of y, words of the reason)
BLOCKED: dict[str, tuple[str, dict[str, object], tuple[int, ...], str]] = {
    "other padding": (
        "y = Pad(s, pads, one)",
        {"pads": [0, 1] + [0] * 6, "one": 1.0},
        (2, 5, 5, 6),
        "it pads with 1.0",
    ),
    "edges": (
        'y = Pad <mode = "edge"> (s, pads)',
        {"pads": [0, 1] + [0] * 6},
        (2, 5, 5, 6),
        "it pads with 'edge'",
    ),
    "strides": (
        "y = AveragePool <kernel_shape = [2, 2], strides = [1, 2]> (s)",
        {},
        (2, 4, 4, 3),
        "strides [1, 2]",
    ),
    "border": (
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (s)",
        {},
        SHAPE,
        "divides by the number of elements inside the border only",
    ),
    "different weights": (
        "y = Conv <group = 4> (s, w)",
        {"w": BOX * np.arange(1, 4)},
        (2, 4, 3, 4),
        "not all equal: 3 different ones",
    ),
    "different windows": (
        "y = Conv <group = 4> (s, w)",
        {"w": np.stack([np.eye(2)[:1]] * 2 + [np.eye(2)[1:]] * 2)[..., None]},
        (2, 4, 4, 6),
        "its window differs from channel to channel",
    ),
    "no box": (
        "y = Conv <group = 4> (s, w)",
        {"w": np.stack([np.eye(2)[None]] * 4)},
        (2, 4, 4, 5),
        "not a box",
    ),
    "different biases": (
        "y = Conv(s, w, b)",
        {"w": band(4, 1, 1).reshape(4, 4, 1, 1), "b": [1.0, 2, 3, 4]},
        SHAPE,
        "its bias differs from channel to channel",
    ),
    "computed weights": (
        "r = ReduceMax <keepdims = 1> (x)  y = Conv(s, r)",
        {},
        SHAPE,
        "its weights are computed",
    ),
}


@pytest.mark.parametrize("case", SUMS.values(), ids=SUMS)
def test_sums(case):
    body, constants, to = case
    assert isinstance(assert_understood(model(body, constants, SHAPE, output=to), X), WindowSums)


def test_padding_of_some_axes():
    constants = {"pads": [1, 0, 0, 2], "axes": [1, -1]}
    assert_understood(model("y = Pad(x, pads, , axes)", constants, SHAPE, opset=18, output=(2, 5, 5, 8)), X)


@pytest.mark.parametrize("case", BLOCKED.values(), ids=BLOCKED)
def test_squares_that_are_summed_as_in_no_lrn(case):
    body, constants, to, words = case
    shape = (2, 1, 5, 6) if "computed" in words else SHAPE
    to = shape if "computed" in words else to
    formula = interpreted(model("s = Mul(x, x)  " + body, constants, shape, output=to))
    assert isinstance(formula, Blocked)
    assert words in formula.reason


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("side", ["SAME_LOWER", "SAME_UPPER"])
def test_same_padding_of_a_convolution(n, side):
    """SAME_LOWER puts the odd zero before, SAME_UPPER behind."""
    body = f'y = Conv <group = 4, auto_pad = "{side}"> (x, w)'
    assert_understood(model(body, {"w": np.ones((4, 1, n, n))}, SHAPE), X)


def test_a_reduction_of_a_dynamic_axis_has_no_formula():
    proto = model("y = ReduceSum(x, at)", {"at": [1]}, ("N", "C", 5), output=("N", 1, 5))
    assert interpreted(proto) is None


def test_an_axis_of_x_that_is_reduced_and_dropped_has_no_formula():
    proto = model("y = ReduceSum <keepdims = 0> (x, at)", {"at": [1]}, SHAPE, output=(2, 5, 6))
    assert interpreted(proto) is None


def test_a_pool_of_a_dynamic_length():
    body = "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (x)"
    formula = assert_understood(model(body, {}, ("N", 4, "H", "W")), X)
    assert isinstance(formula, WindowSums)
    assert formula.shape == ["N", 4, "H", "W"]
