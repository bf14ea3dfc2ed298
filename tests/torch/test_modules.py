"""The torch layers: they compute their definitions, they train."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import normdeploy as nd
from normdeploy.errors import UsageError
from normdeploy.torch import BatchNormPerActivation, IntraChannelLRN


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_intra_channel_lrn_does_not_overflow_in_half_precision(dtype: torch.dtype) -> None:
    x = torch.full((1, 2, 4, 4), 300.0, dtype=dtype)
    y = IntraChannelLRN(3)(x)
    assert y.dtype == dtype
    assert (y > 50).all()


def test_intra_channel_lrn_passes_gradcheck() -> None:
    x = torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(IntraChannelLRN(2, alpha=0.5), (x,))


def test_intra_channel_lrn_refuses_bad_arguments() -> None:
    with pytest.raises(UsageError, match="size must be at least 1, got 0"):
        IntraChannelLRN(0)
    with pytest.raises(UsageError, match=r"rank 3 to 5, got shape \(2, 3\)"):
        IntraChannelLRN(3)(torch.zeros(2, 3))


def test_batch_norm_per_activation_agrees_with_numpy_in_both_modes() -> None:
    torch.manual_seed(0)
    shape = (3, 4, 5)
    layer = BatchNormPerActivation(shape, momentum=1.0).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(7, *shape, dtype=torch.float64)
    scale, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()

    y, mean, var = nd.batch_norm_train(x.numpy(), scale, bias, per_activation=True)
    np.testing.assert_allclose(layer(x).detach().numpy(), y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), var * 7 / 6, rtol=1e-12)

    layer.eval()
    expected = nd.batch_norm(x.numpy(), scale, bias, mean, var * 7 / 6)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_batch_norm_per_activation_trains() -> None:
    torch.manual_seed(0)
    layer = BatchNormPerActivation((2, 3, 3))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    target = torch.full((8, 2, 3, 3), 2.0)
    losses = []
    for _ in range(50):
        loss = nn.functional.mse_loss(layer(torch.randn(8, 2, 3, 3)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_batch_norm_per_activation_refuses_bad_inputs() -> None:
    layer = BatchNormPerActivation((2, 3, 3))
    with pytest.raises(UsageError, match=r"takes \(N, \*\(2, 3, 3\)\), got shape \(4, 2, 3, 4\)"):
        layer(torch.zeros(4, 2, 3, 4))
    with pytest.raises(UsageError, match="more than one sample"):
        layer(torch.zeros(1, 2, 3, 3))
