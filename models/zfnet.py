"""ZFNet (Zeiler & Fergus, "Visualizing and Understanding ConvNets", ECCV 2014) with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _lrn() -> nn.Module:
    """As in AlexNet: k = 2, n = 5, α = 1e-4 on the sum of squares, β = 0.75."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def zfnet(classes: int = 1000) -> nn.Module:
    """(N, 3, 224, 224) to (N, classes) scores."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 7, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), _lrn(),
        nn.Conv2d(96, 256, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), _lrn(),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, classes),
    )  # fmt: skip


def build() -> tuple[nn.Module, Tensor]:
    """The network with seeded random weights, in evaluation mode, and an example input."""
    torch.manual_seed(0)
    return zfnet().eval(), torch.randn(1, 3, 224, 224)
