"""Normalization layers that torch lacks: they train, and they export."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from normdeploy.errors import UsageError

_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_HALF = (torch.float16, torch.bfloat16)


class IntraChannelLRN(nn.Module):
    """Local Response Normalization within a channel, as Caffe defines it (lrn_layer.cpp, WITHIN_CHANNEL)::

        y[n, c, p] = x[n, c, p] / (k + α / size^d · Σ_q x[n, c, q]²) ^ β

    q runs over the window of p, `size` positions along each of the d spatial axes, with zeros outside the
    border: α is a factor on the mean of the squares, and the divisor size^d is the same everywhere. An odd
    size has the window [−(size − 1)/2, (size − 1)/2], an even one [−size/2, size/2 − 1], as torch pools.
    Caffe takes odd sizes and k = 1 only. `normdeploy.LRN.from_torch(module)` is the same in NumPy.

    Half-precision inputs are squared and summed in float32; nothing is trained. `normdeploy.export` writes it
    as one node `normdeploy.IntraChannelLRN` with a body of standard operators.

    Shape:
        - input: (N, C, D1), (N, C, D1, D2) or (N, C, D1, D2, D3), any floating type.
        - output: shape and type of the input.

    Args:
        size: extent of the window along each spatial axis, at least 1.
        alpha: factor on the window's mean square.
        beta: exponent of the denominator.
        k: constant in the denominator.

    Raises:
        UsageError: size below 1; in `forward`, an input of another rank.
    """

    region = "within"

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"IntraChannelLRN size must be at least 1, got {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        axes = x.dim() - 2
        if axes not in _POOLS:
            raise UsageError(f"IntraChannelLRN takes an input of rank 3 to 5, got shape {tuple(x.shape)}")
        wide = x.float() if x.dtype in _HALF else x
        padding = (self.size // 2, (self.size - 1) // 2) * axes
        mean = _POOLS[axes](functional.pad(wide * wide, padding), self.size, stride=1)
        return (wide / (mean * self.alpha + self.k).pow(self.beta)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class BatchNormPerActivation(nn.Module):
    """Batch normalization with statistics for each (channel, position) over the batch.

    Ioffe & Szegedy, "Batch Normalization", arXiv 1502.03167, Algorithm 1, with every activation normalized on
    its own; convolutional practice and torch.nn.BatchNorm2d share the statistics of a channel instead.
    In training, over the N samples of a batch and for each place p of a sample::

        μ[p] = mean_n x[n, p]    σ²[p] = mean_n (x[n, p] − μ[p])²
        y[n, p] = γ[p] · (x[n, p] − μ[p]) / √(σ²[p] + ε) + β[p]

    γ (`weight`) and β (`bias`) are trained. In evaluation mode moving averages stand for μ and σ², the latter
    unbiased (N / (N − 1) · σ², Algorithm 2); the module is then a product with constants and a sum with
    constants, which is how `normdeploy.export` writes it.

    Shape:
        - input: (N, *shape); N at least 2 in training.
        - output: shape of the input.

    Args:
        shape: of one sample, usually (C, H, W).
        eps: ε, added to the variance.
        momentum: weight of the newest batch in the moving averages.

    Raises:
        UsageError: in `forward`, an input of another shape, or a training batch of one sample.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, shape: tuple[int, ...], eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.shape, self.eps, self.momentum = tuple(shape), eps, momentum
        self.weight = nn.Parameter(torch.ones(self.shape))
        self.bias = nn.Parameter(torch.zeros(self.shape))
        self.register_buffer("running_mean", torch.zeros(self.shape))
        self.register_buffer("running_var", torch.ones(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise UsageError(f"BatchNormPerActivation takes (N, *{self.shape}), got shape {tuple(x.shape)}")
        if not self.training:
            scale = self.weight / torch.sqrt(self.running_var + self.eps)
            return x * scale + (self.bias - self.running_mean * scale)
        count = x.shape[0]
        if count < 2:
            raise UsageError("BatchNormPerActivation needs more than one sample in a training batch")
        mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var), self.momentum)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias

    def extra_repr(self) -> str:
        return f"{self.shape}, eps={self.eps}, momentum={self.momentum}"
