"""The Softmax family of older opsets against torch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normdeploy.reference import activation
from tests.reference.against_torch import assert_close


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_softmax_below_opset_13_takes_the_rest_of_the_axes_together(axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    rows = torch.tensor(x).flatten(axis % 4) if axis % 4 else torch.tensor(x).reshape(1, -1)
    rows = rows.flatten(0, -2) if rows.ndim > 2 else rows
    for function, expected in [
        (activation.softmax_of_rows, rows.softmax(-1)),
        (activation.log_softmax_of_rows, rows.log_softmax(-1)),
    ]:
        assert_close(function(x, axis=axis), expected.reshape(x.shape))
