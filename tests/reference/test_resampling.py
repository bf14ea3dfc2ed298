"""Resize and Upsample against torch in float64, for random sizes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from normdeploy.reference import resampling
from tests.reference.against_torch import assert_close, functional


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
    assert_close(actual, expected)


@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2))
@functional
def test_upsample_to_nearest(sizes, factors):
    x = np.random.default_rng(sum(sizes)).normal(size=(1, 2, *sizes))
    expected = F.interpolate(torch.tensor(x), scale_factor=factors, mode="nearest")
    assert_close(resampling.upsample(x, np.array([1, 1, *factors], dtype=np.float64)), expected)
