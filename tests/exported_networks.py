"""The repository's networks as ONNX models, with a narrow classifier, to be quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

import normdeploy as nd
from models import alexnet, cifar10_full, zfnet

DIGITS = Path(__file__).parents[1] / "models" / "digits" / "digits.onnx"

_CLASSIFIER_WIDTH = 32

BUILDERS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "alexnet": lambda: (_narrowed(alexnet.alexnet()), _example(227)),
    "zfnet": lambda: (_narrowed(zfnet.zfnet()), _example(224)),
    "cifar10_full": cifar10_full.build,
}


def export(name: str, folder: Path) -> tuple[Path, Path]:
    """A network with a batch of 1, and the same with an open batch axis."""
    fixed, dynamic = folder / f"{name}.onnx", folder / f"{name}-dynamic.onnx"
    if name == "digits":
        dynamic = DIGITS
    else:
        module, example = BUILDERS[name]()
        nd.export(module, (example,), dynamic, dynamic={"input": [0]})
    model = onnx.load(dynamic)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    onnx.save(model, fixed)
    return fixed, dynamic


def _example(size: int) -> Tensor:
    return torch.zeros(2, 3, size, size)


def _narrowed(network: nn.Sequential) -> nn.Module:
    """The network with few classifier weights: 94 % of AlexNet's are there, and none is near an LRN."""
    width = 0
    for index, layer in enumerate(network):
        if isinstance(layer, nn.Linear):
            network[index] = nn.Linear(width or layer.in_features, _CLASSIFIER_WIDTH)
            width = _CLASSIFIER_WIDTH
    return network.eval()
