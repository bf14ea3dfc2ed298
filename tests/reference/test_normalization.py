"""LRN against torch in float64, and against the standard's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from normdeploy.reference import normalization
from tests.reference.against_torch import assert_close, functional


@given(st.integers(1, 9), st.floats(0.1, 2.0), st.floats(1e-4, 2.0), st.floats(0.5, 2.0))
@functional
def test_lrn(half, beta, alpha, bias):
    size = 2 * half - 1  # odd: torch puts the window of an even size elsewhere
    x = np.random.default_rng(half).normal(size=(2, 7, 3, 4))
    expected = F.local_response_norm(torch.tensor(x), size, alpha, beta, bias)
    assert_close(normalization.lrn(x, size=size, alpha=alpha, beta=beta, bias=bias), expected)


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
