"""Operators that onnx's own evaluator computes."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.reference import registry
from normdeploy.reference.delegated import DELEGATED, delegated
from normdeploy.reference.rounding_model import RoundingModel


def test_a_delegated_operator_has_no_implementation_of_its_own():
    assert not {name for _, name in registry.OPERATORS} & set(DELEGATED)


def test_it_exists_from_its_first_opset_on():
    assert delegated("RoiAlign", 16).since == 16
    assert delegated("RoiAlign", 9) is None
    assert delegated("Add", 16) is None
    assert registry.lookup("RoiAlign", "com.acme", 16) is None


@pytest.mark.parametrize("op_type", DELEGATED)
def test_it_has_the_rounding_model_of_the_table(op_type):
    item = delegated(op_type, 10**6)
    assert isinstance(item.rounding, RoundingModel)
    assert item.rounding is DELEGATED[op_type]


def test_it_computes_in_float64():
    item = delegated("RotaryEmbedding", 23)
    x, angle = np.random.default_rng(0).normal(size=(1, 1, 1, 4)), np.array([[[0.3, 1.1]]])
    (y,) = item.function(x, np.cos(angle), np.sin(angle), n_outputs=1)
    left, right = x[..., :2], x[..., 2:]
    cos, sin = np.cos(angle), np.sin(angle)
    np.testing.assert_allclose(
        y, np.concatenate([left * cos - right * sin, left * sin + right * cos], axis=-1), rtol=1e-14
    )
