"""Convolutions against torch in float64, for random parameters."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given
from hypothesis import strategies as st

from normdeploy.reference import convolution
from tests.reference.against_torch import assert_close, both_ends, functional, random


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
    x = random(draw, n, c, *per_axis["sizes"])
    w = random(draw, *((c, m // group) if transposed else (m, c // group)), *per_axis["kernel"])
    b = random(draw, m) if draw(st.booleans()) else None
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
            pads=both_ends(axes["pads"]),
        )
    function = [F.conv1d, F.conv2d, F.conv3d][x.ndim - 3]
    tensors = [torch.tensor(x), torch.tensor(w), None if b is None else torch.tensor(b)]
    assert_close(actual, function(*tensors, axes["strides"], axes["pads"], axes["dilations"], group))


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
            pads=both_ends(axes["pads"]),
            output_padding=extra,
        )
    function = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][x.ndim - 3]
    tensors = [torch.tensor(x), torch.tensor(w), None if b is None else torch.tensor(b)]
    expected = function(*tensors, axes["strides"], axes["pads"], extra, group, axes["dilations"])
    assert_close(actual, expected)
