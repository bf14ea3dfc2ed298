"""A small convolutional network for 8×8 digits, with BatchNorm and LRN across and within channels."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from normdeploy.torch import IntraChannelLRN

WEIGHTS = Path(__file__).with_name("digits.safetensors")


class DigitsNet(nn.Module):
    """(N, 1, 8, 8) grey values in [0, 1] to (N, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, 16),
            nn.LocalResponseNorm(5, alpha=1e-2, beta=0.75, k=1.0),
            *_block(16, 32),
            IntraChannelLRN(3, alpha=1e-1, beta=0.75, k=1.0),
            nn.MaxPool2d(2),
            *_block(32, 32),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(image))
        return scores


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def trained() -> tuple[DigitsNet, Tensor]:
    """The network with its trained weights, in evaluation mode, and an example input."""
    network = DigitsNet()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval(), torch.zeros(1, 1, 8, 8)
