"""Convolutions, pools and recurrent layers against torch in float64, for random parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from normdeploy.reference import activation, convolution, normalization, pooling, recurrent, resampling

functional = settings(max_examples=60, deadline=None)


def _random(draw, *shape):
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).normal(size=shape)


def _both_ends(pads):
    return [*pads, *pads]


def _assert_close(actual, expected):
    assert actual.shape == tuple(expected.shape)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-11, atol=1e-11)


@st.composite
def convolutions(draw, transposed=False):
    rank = draw(st.integers(1, 3))
    group = draw(st.sampled_from([1, 2, 3, 5]))
    per_axis = {
        name: draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))
        for name, low, high in [
            ("kernel", 1, 3),
            ("strides", 1, 3),
            ("dilations", 1, 2),
            ("pads", 0, 2),
            ("sizes", 3, 7),
        ]
    }
    n, c, m = draw(st.integers(1, 3)), group * draw(st.integers(1, 3)), group * draw(st.integers(1, 3))
    x = _random(draw, n, c, *per_axis["sizes"])
    w = _random(draw, *((c, m // group) if transposed else (m, c // group)), *per_axis["kernel"])
    b = _random(draw, m) if draw(st.booleans()) else None
    return x, w, b, group, per_axis


@given(convolutions(), st.sampled_from([64, 2**10, 2**21]))
@functional
def test_conv(case, buffer):
    x, w, b, group, axes = case
    reach = [(k - 1) * d + 1 for k, d in zip(axes["kernel"], axes["dilations"], strict=True)]
    assume(all(s + 2 * p >= r for s, p, r in zip(axes["sizes"], axes["pads"], reach, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "_COLUMN_BYTES", buffer)  # pieces of every size give the same result
        actual = convolution.conv(
            x,
            w,
            b,
            group=group,
            strides=axes["strides"],
            dilations=axes["dilations"],
            pads=_both_ends(axes["pads"]),
        )
    function = [F.conv1d, F.conv2d, F.conv3d][x.ndim - 3]
    tensors = [torch.tensor(x), torch.tensor(w), None if b is None else torch.tensor(b)]
    _assert_close(actual, function(*tensors, axes["strides"], axes["pads"], axes["dilations"], group))


@given(convolutions(transposed=True), st.data(), st.sampled_from([64, 2**21]))
@functional
def test_conv_transpose(case, data, buffer):
    x, w, b, group, axes = case
    extra = [
        data.draw(st.integers(0, max(s, d) - 1))
        for s, d in zip(axes["strides"], axes["dilations"], strict=True)
    ]
    sizes = [
        (n - 1) * s + (k - 1) * d + 1 + e - 2 * p
        for n, s, k, d, e, p in zip(
            axes["sizes"],
            axes["strides"],
            axes["kernel"],
            axes["dilations"],
            extra,
            axes["pads"],
            strict=True,
        )
    ]
    assume(min(sizes) > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "_COLUMN_BYTES", buffer)
        actual = convolution.conv_transpose(
            x,
            w,
            b,
            group=group,
            strides=axes["strides"],
            dilations=axes["dilations"],
            pads=_both_ends(axes["pads"]),
            output_padding=extra,
        )
    function = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][x.ndim - 3]
    tensors = [torch.tensor(x), torch.tensor(w), None if b is None else torch.tensor(b)]
    expected = function(*tensors, axes["strides"], axes["pads"], extra, group, axes["dilations"])
    _assert_close(actual, expected)


@st.composite
def pools(draw):
    rank = draw(st.integers(1, 3))
    kernel = draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    strides = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    sizes = draw(st.lists(st.integers(4, 9), min_size=rank, max_size=rank))
    pads = [draw(st.integers(0, k // 2)) for k in kernel]
    return _random(draw, 2, 3, *sizes), kernel, strides, pads, draw(st.booleans())


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
        pads=_both_ends(pads),
        dilations=dilations,
        ceil_mode=int(ceil_mode),
        n_outputs=2,
    )
    function = [F.max_pool1d, F.max_pool2d, F.max_pool3d][len(kernel) - 1]
    expected, places = function(
        torch.tensor(x), kernel, strides, pads, dilations, ceil_mode=ceil_mode, return_indices=True
    )
    _assert_close(y, expected)
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
        pads=_both_ends(pads),
        ceil_mode=int(ceil_mode),
        count_include_pad=int(include),
    )
    function = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][len(kernel) - 1]
    _assert_close(actual, function(torch.tensor(x), kernel, strides, pads, ceil_mode, include))


@given(pools())
@functional
def test_lp_pool(case):
    x, kernel, strides, _, _ = case
    assume(len(kernel) < 3)
    function = [F.lp_pool1d, F.lp_pool2d][len(kernel) - 1]
    size, stride = (kernel, strides) if len(kernel) > 1 else (kernel[0], strides[0])
    expected = function(torch.tensor(np.abs(x)), 3.0, size, stride)
    _assert_close(pooling.lp_pool(x, kernel_shape=kernel, strides=strides, p=3), expected)


@given(st.integers(1, 9), st.floats(0.1, 2.0), st.floats(1e-4, 2.0), st.floats(0.5, 2.0))
@functional
def test_lrn(half, beta, alpha, bias):
    size = 2 * half - 1  # odd: torch puts the window of an even size elsewhere
    x = np.random.default_rng(half).normal(size=(2, 7, 3, 4))
    expected = F.local_response_norm(torch.tensor(x), size, alpha, beta, bias)
    _assert_close(normalization.lrn(x, size=size, alpha=alpha, beta=beta, bias=bias), expected)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_lrn_window_of_onnx(size):
    """The standard's formula: the window [c - floor((size - 1) / 2), c + ceil((size - 1) / 2)]."""
    x = np.random.default_rng(size).normal(size=(2, 5, 3))
    sums = np.zeros_like(x)
    for channel in range(5):
        first, last = channel - (size - 1) // 2, channel + size // 2
        sums[:, channel] = np.square(x[:, max(0, first) : last + 1]).sum(axis=1)
    expected = x / (2.0 + 0.5 / size * sums) ** 0.75
    actual = normalization.lrn(x, size=size, alpha=0.5, beta=0.75, bias=2.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_softmax_below_opset_13_takes_the_rest_of_the_axes_together(axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    rows = torch.tensor(x).flatten(axis % 4) if axis % 4 else torch.tensor(x).reshape(1, -1)
    rows = rows.flatten(0, -2) if rows.ndim > 2 else rows
    for function, expected in [
        (activation.softmax_of_rows, rows.softmax(-1)),
        (activation.log_softmax_of_rows, rows.log_softmax(-1)),
    ]:
        _assert_close(function(x, axis=axis), expected.reshape(x.shape))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers(kind, bidirectional):
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(4, 3, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(6, 2, 4, dtype=torch.float64)
    states = [torch.randn(1 + bidirectional, 2, 3, dtype=torch.float64) for _ in range(1 + (kind == "LSTM"))]
    expected, _ = module(x, tuple(states) if kind == "LSTM" else states[0])
    # torch's order of gates to ONNX's
    order = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}[kind]

    def stacked(name):
        suffixes = ["_l0", "_l0_reverse"][: 1 + bidirectional]
        parts = [getattr(module, name + suffix).detach().numpy() for suffix in suffixes]
        return np.stack([np.concatenate([np.split(part, len(order))[i] for i in order]) for part in parts])

    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    y, *_ = getattr(recurrent, kind.lower())(
        x.numpy(),
        stacked("weight_ih"),
        stacked("weight_hh"),
        np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1),
        None,
        *(state.numpy() for state in states),
        direction="bidirectional" if bidirectional else "forward",
        **extra,
    )
    # (T, D, N, H) -> (T, N, D * H)
    _assert_close(y.transpose(0, 2, 1, 3).reshape(6, 2, -1), expected.detach())


@given(
    st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 12)] * 2), st.booleans(), st.booleans()
)
@functional
def test_resize_by_interpolation(sizes, new_sizes, cubic, align):
    x = np.random.default_rng(sum(sizes)).normal(size=(2, 2, *sizes))
    expected = F.interpolate(
        torch.tensor(x), new_sizes, mode="bicubic" if cubic else "bilinear", align_corners=align
    )
    actual = resampling.resize(
        x,
        sizes=np.array([2, 2, *new_sizes]),
        mode="cubic" if cubic else "linear",
        coordinate_transformation_mode="align_corners" if align else "half_pixel",
    )
    _assert_close(actual, expected)


@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2))
@functional
def test_upsample_to_nearest(sizes, factors):
    x = np.random.default_rng(sum(sizes)).normal(size=(1, 2, *sizes))
    expected = F.interpolate(torch.tensor(x), scale_factor=factors, mode="nearest")
    _assert_close(resampling.upsample(x, np.array([1, 1, *factors], dtype=np.float64)), expected)
