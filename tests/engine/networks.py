"""The repository's networks as ONNX models, with a narrow classifier, to be quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import normdeploy as nd
from models import alexnet, cifar10_full, zfnet

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "digits.onnx"

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
        _save_with_batch(onnx.load(DIGITS), 1, fixed)
        return fixed, DIGITS
    module, example = BUILDERS[name]()
    nd.export(module, (example,), fixed)
    _save_with_batch(onnx.load(fixed), "N", dynamic)
    return fixed, dynamic


def _save_with_batch(model: onnx.ModelProto, batch: int | str, path: Path) -> None:
    """The model with another batch axis; a Reshape computes that axis."""
    for value in (*model.graph.input, *model.graph.output):
        dim = value.type.tensor_type.shape.dim[0]
        dim.Clear()
        setattr(dim, "dim_param" if isinstance(batch, str) else "dim_value", batch)
    del model.graph.value_info[:]
    targets = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in targets:
            (_, *others) = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.array([-1, *others]), tensor.name))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _example(size: int) -> Tensor:
    return torch.zeros(1, 3, size, size)


def _narrowed(network: nn.Sequential) -> nn.Module:
    """The network with few classifier weights: 94 % of AlexNet's are there, and none is near an LRN."""
    width = 0
    for index, layer in enumerate(network):
        if isinstance(layer, nn.Linear):
            network[index] = nn.Linear(width or layer.in_features, _CLASSIFIER_WIDTH)
            width = _CLASSIFIER_WIDTH
    return network.eval()
