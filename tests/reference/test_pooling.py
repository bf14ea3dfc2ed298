"""Pools against torch in float64, for random parameters."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given
from hypothesis import strategies as st

from normdeploy.reference import pooling
from tests.reference.against_torch import assert_close, both_ends, functional, random


@st.composite
def pools(draw):
    rank = draw(st.integers(1, 3))
    kernel = draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    strides = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    sizes = draw(st.lists(st.integers(4, 9), min_size=rank, max_size=rank))
    pads = [draw(st.integers(0, k // 2)) for k in kernel]
    return random(draw, 2, 3, *sizes), kernel, strides, pads, draw(st.booleans())


@given(pools(), st.integers(1, 2))
@functional
def test_max_pool(case, dilation):
    x, kernel, strides, pads, ceil_mode = case
    dilations = [dilation] * len(kernel)
    assume(all((k - 1) * dilation < s + 2 * p for k, s, p in zip(kernel, x.shape[2:], pads, strict=True)))
    y, indices = pooling.max_pool(
        x,
        kernel_shape=kernel,
        strides=strides,
        pads=both_ends(pads),
        dilations=dilations,
        ceil_mode=int(ceil_mode),
        n_outputs=2,
    )
    function = [F.max_pool1d, F.max_pool2d, F.max_pool3d][len(kernel) - 1]
    expected, places = function(
        torch.tensor(x), kernel, strides, pads, dilations, ceil_mode=ceil_mode, return_indices=True
    )
    assert_close(y, expected)
    np.testing.assert_array_equal(y, x.ravel()[indices])
    maps = np.arange(6).reshape(2, 3, *[1] * len(kernel)) * np.prod(x.shape[2:])
    np.testing.assert_array_equal(indices, places.numpy() + maps)


@given(pools(), st.booleans())
@functional
def test_average_pool(case, include):
    x, kernel, strides, pads, ceil_mode = case
    actual = pooling.average_pool(
        x,
        kernel_shape=kernel,
        strides=strides,
        pads=both_ends(pads),
        ceil_mode=int(ceil_mode),
        count_include_pad=int(include),
    )
    function = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][len(kernel) - 1]
    assert_close(actual, function(torch.tensor(x), kernel, strides, pads, ceil_mode, include))


@given(pools())
@functional
def test_lp_pool(case):
    x, kernel, strides, _, _ = case
    assume(len(kernel) < 3)
    function = [F.lp_pool1d, F.lp_pool2d][len(kernel) - 1]
    size, stride = (kernel, strides) if len(kernel) > 1 else (kernel[0], strides[0])
    expected = function(torch.tensor(np.abs(x)), 3.0, size, stride)
    assert_close(pooling.lp_pool(x, kernel_shape=kernel, strides=strides, p=3), expected)
