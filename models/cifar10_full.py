"""Caffe's cifar10_full (examples/cifar10/cifar10_full.prototxt) with random weights: LRN within a channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normdeploy.torch import IntraChannelLRN


def _lrn() -> nn.Module:
    """lrn_param { local_size: 3 alpha: 5e-05 beta: 0.75 norm_region: WITHIN_CHANNEL }."""
    return IntraChannelLRN(3, alpha=5e-5, beta=0.75, k=1.0)


def cifar10_full(classes: int = 10) -> nn.Module:
    """(N, 3, 32, 32) to (N, classes) scores. Caffe rounds the pools' output sizes up."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(), _lrn(),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True), _lrn(),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, classes),
    )  # fmt: skip


def build() -> tuple[nn.Module, Tensor]:
    """The network with seeded random weights, in evaluation mode, and an example input."""
    torch.manual_seed(0)
    return cifar10_full().eval(), torch.randn(1, 3, 32, 32)
