"""What torch's two exporters write, with static and dynamic shapes, becomes LRN."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import normdeploy as nd
from normdeploy.passes import optimize
from normdeploy.torch import IntraChannelLRN


class Normalizations(nn.Module):
    """LRN by torch, by our module, by slices, and by a root."""

    def __init__(self) -> None:
        super().__init__()
        self.across, self.within = nn.LocalResponseNorm(5, 0.7, 0.75, 1.5), IntraChannelLRN(3, 0.7, 0.75, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        padded = nn.functional.pad(torch.pow(x, 2), (0, 0, 0, 0, 1, 1))
        channels = x.shape[1]
        sums = padded[:, :channels] + padded[:, 1 : channels + 1] + padded[:, 2 : channels + 2]
        rooted = x * torch.rsqrt(0.2 * sums + 2)
        return torch.cat([self.across(x), self.within(x), x / (0.3 * sums + 1) ** 0.6, rooted], 1)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_exported(tmp_path: Path, dynamo: bool, dynamic: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    path = tmp_path / "m.onnx"
    options: dict = {"input_names": ["x"]}
    if dynamic and dynamo:
        options["dynamic_shapes"] = ({0: Dim("n"), 2: Dim("h"), 3: Dim("w")},)
    elif dynamic:
        options["dynamic_axes"] = {"x": {0: "n", 2: "h", 3: "w"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.randn(2, 6, 5, 7)
        torch.onnx.export(Normalizations().eval(), (x,), path, dynamo=dynamo, verbose=False, **options)
    result = optimize(path, shapes={"x": (3, 6, 4, 9)} if dynamic else {})
    operators = [node.op_type for node in result.model.graph.node if node.op_type != "Constant"]
    kept = sorted(operator for operator in operators if operator != "Cast")
    assert kept == ["Concat", "IntraChannelLRN", "LRN", "LRN", "LRN"]
    assert [record.status for record in result.report.lrn] == ["recovered"] * 4
    feeds = {"x": np.random.default_rng(0).normal(size=(3, 6, 4, 9) if dynamic else (2, 6, 5, 7))}
    feeds["x"] = feeds["x"].astype(np.float32)
    (before,), (after,) = (nd.evaluate(model, feeds).values() for model in (onnx.load(path), result.model))
    np.testing.assert_allclose(after, before, rtol=1e-6)
