"""What tests of operators against torch share."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

functional = settings(max_examples=60, deadline=None)


def random(draw, *shape):
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).normal(size=shape)


def both_ends(pads):
    return [*pads, *pads]


def assert_close(actual, expected):
    assert actual.shape == tuple(expected.shape)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-11, atol=1e-11)
