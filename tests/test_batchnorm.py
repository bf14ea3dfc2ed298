"""Batch normalization against Algorithm 1 of Ioffe & Szegedy, torch and onnxruntime."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import normdeploy as nd
from normdeploy.errors import InputError

SHAPES = [(6, 3), (6, 3, 5), (6, 3, 4, 5), (4, 2, 3, 4, 5)]


def random_parameters(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=shape), rng.uniform(0.1, 2, shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_inference_agrees_with_torch(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=shape)
    scale, bias, mean, var = random_parameters((shape[1],))
    tensors = [torch.from_numpy(array) for array in (x, mean, var, scale, bias)]
    expected = torch.nn.functional.batch_norm(*tensors, eps=1e-3).numpy()
    np.testing.assert_allclose(
        nd.batch_norm(x, scale, bias, mean, var, 1e-3), expected, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_training_agrees_with_torch(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).normal(size=shape) * 3 + 1
    scale, bias, _, _ = random_parameters((shape[1],))
    running = torch.zeros(shape[1], dtype=torch.float64), torch.zeros(shape[1], dtype=torch.float64)
    expected = torch.nn.functional.batch_norm(
        torch.from_numpy(x), *running, torch.from_numpy(scale), torch.from_numpy(bias), True, 1.0, 1e-5
    )
    y, mean, var = nd.batch_norm_train(x, scale, bias)
    count = x.size / shape[1]
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mean, running[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(var * count / (count - 1), running[1].numpy(), rtol=1e-12)


def test_per_activation_normalizes_each_position_over_the_batch() -> None:
    x = np.random.default_rng(3).normal(size=(64, 2, 3, 4)) * 5 + 2
    scale, bias, _, _ = random_parameters((2, 3, 4))
    y, mean, var = nd.batch_norm_train(x, scale, bias, per_activation=True)
    assert mean.shape == var.shape == (2, 3, 4)
    np.testing.assert_allclose(mean, sum(x) / 64, rtol=1e-12)
    np.testing.assert_allclose(y.mean(axis=0), bias, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), np.abs(scale), rtol=1e-5)


@given(
    x=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=5),
                 elements=st.floats(-100, 100, width=32)),
    per_activation=st.booleans(),
)  # fmt: skip
def test_gamma_sigma_and_beta_mu_give_the_input_back(x: np.ndarray, per_activation: bool) -> None:
    shape = x.shape[1:] if per_activation else x.shape[1:2]
    _, mean, var = nd.batch_norm_train(x, np.ones(shape), np.zeros(shape), per_activation=per_activation)
    y, _, _ = nd.batch_norm_train(x, np.sqrt(var + 1e-5), mean, per_activation=per_activation)
    np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9)


def test_parameters_may_be_per_activation_at_inference() -> None:
    x = np.random.default_rng(4).normal(size=(5, 2, 3, 4))
    scale, bias, mean, var = random_parameters((2, 3, 4))
    expected = (x - mean) / np.sqrt(var + 1e-5) * scale + bias
    np.testing.assert_allclose(nd.batch_norm(x, scale, bias, mean, var), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_stays_and_half_precision_does_not_overflow_inside(dtype: Any) -> None:
    x = np.full((2, 1, 4), 60000, dtype)
    y = nd.batch_norm(x, [2.0], [0.0], [0.0], [1e6])
    assert y.dtype == dtype
    np.testing.assert_allclose(y.astype(float), 120.0, rtol=2e-3)


def test_nan_and_bad_variances_propagate() -> None:
    x = np.ones((1, 2, 2))
    y = nd.batch_norm(x, [1, 1], [0, 0], [0, np.nan], [-1, 1])
    assert np.isnan(y).all()
    clean, nan = x.repeat(2, 0), x.repeat(2, 0)
    nan[0, 0, 0] = np.nan
    y, _, _ = nd.batch_norm_train(nan, [1, 1], [0, 0])
    assert np.isnan(y[:, 0]).all()
    np.testing.assert_array_equal(y[:, 1], nd.batch_norm_train(clean, [1, 1], [0, 0])[0][:, 1])


def test_bad_inputs() -> None:
    x = np.zeros((2, 3, 4))
    with pytest.raises(InputError, match=r"takes parameters of shape \(3,\) or \(3, 4\), got \(4,\)"):
        nd.batch_norm(x, *np.ones((4, 4)))
    with pytest.raises(InputError, match="floating-point arrays, got int64"):
        nd.batch_norm(x.astype(np.int64), *np.ones((4, 3)))
    with pytest.raises(InputError, match=r"need a batch of shape .*, got shape \(0, 3, 4\)"):
        nd.batch_norm_train(x[:0], np.ones(3), np.zeros(3))
