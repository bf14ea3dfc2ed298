"""Graphs that torch exports, against torch in float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from normdeploy.reference import Evaluator


class Convolutional(nn.Module):
    """Convolutions, normalizations of every kind, pools and resizing."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.lrn = nn.LocalResponseNorm(4, alpha=0.5, k=1.5)
        self.batch = nn.BatchNorm2d(8)
        self.group = nn.GroupNorm(2, 8)
        self.instance = nn.InstanceNorm2d(6, affine=True)

    def forward(self, x):
        y = F.gelu(self.batch(self.lrn(self.conv(x))))
        y = F.max_pool2d(self.group(self.depthwise(y)), 3, 2, 1, ceil_mode=True)
        y = F.hardswish(self.instance(self.up(y)))
        y = F.interpolate(y, scale_factor=1.5, mode="bicubic")
        return F.avg_pool2d(y, 3, 2, 1), F.pixel_shuffle(y[:, :4], 2), F.pad(y, (1, 2, 0, 3), "reflect")


class Sequential(nn.Module):
    """Attention, a recurrent layer, reductions and indexing."""

    def __init__(self):
        super().__init__()
        self.transformer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.lstm = nn.LSTM(16, 5, batch_first=True, bidirectional=True)

    def forward(self, x):
        y = self.transformer(x)
        z, _ = self.lstm(y)
        similarity = torch.einsum("bij,bkj->bik", y, y)
        best = similarity.topk(3)
        return z.cumsum(1), best.values, best.indices, torch.where(y > 0, y, -y).amax(1), y.logsumexp(2)


@pytest.mark.parametrize(
    ("module", "shape"),
    [(Convolutional, (2, 3, 13, 14)), (Sequential, (2, 6, 16))],
    ids=lambda item: str(item),
)
def test_an_exported_module_computes_the_same(module, shape, tmp_path):
    torch.manual_seed(0)
    network = module().eval().double()
    x = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        expected = network(x)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.onnx.export(network, (x,), path, dynamo=True, verbose=False)
    evaluator = Evaluator(path)
    results = evaluator.run({evaluator.model.graph.inputs[0].name: x.numpy()})
    for actual, wanted in zip(results.values(), expected, strict=True):
        # the exporter stores constants like 1/sqrt(2) in float32
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-6, atol=1e-6)
