"""The nine classic networks that the onnx package carries, with random weights.

The package's files keep the real structures and replace every parameter by a ConstantOfShape; here those
become initializers, drawn so that activations neither vanish nor explode. As in the originals, parameters
stay listed as graph inputs (IR version 3).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)

_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

_Uses = dict[str, tuple[onnx.NodeProto, int]]


def light_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """One of `NAMES` with weights drawn from `seed`."""
    model = onnx.load(_FOLDER / f"light_{name}.onnx")
    graph = model.graph
    uses = _first_uses(graph)
    random = np.random.default_rng(seed)

    stored = {tensor.name: tensor for tensor in graph.initializer}
    shapes: dict[str, tuple[int, ...]] = {
        tensor.name: tuple(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name in uses
    }
    fills = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    for node in fills:
        shapes[node.output[0]] = tuple(numpy_helper.to_array(stored[node.input[0]]).tolist())
        graph.node.remove(node)
    replaced = set(shapes) | {node.input[0] for node in fills}
    others = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    listed = {value.name for value in graph.input}
    inputs = [value for value in graph.input if value.name not in replaced or value.name in shapes]

    del graph.initializer[:]
    graph.initializer.extend(others)
    for parameter, shape in shapes.items():
        node, place = uses[parameter]
        values = _draw(random, shape, node, place, _what_follows(uses, node))
        graph.initializer.append(numpy_helper.from_array(values, parameter))
        if parameter not in listed:
            inputs.append(onnx.helper.make_tensor_value_info(parameter, onnx.TensorProto.FLOAT, shape))
    del graph.input[:]
    graph.input.extend(inputs)
    return model


def _first_uses(graph: onnx.GraphProto) -> _Uses:
    """For each tensor, the first node that computes with it, past reshapes, and its place there."""
    uses: _Uses = {}
    for node in reversed(graph.node):
        for index, name in enumerate(node.input):
            reshapes = node.op_type in ("Reshape", "Unsqueeze") and index == 0
            uses[name] = uses[node.output[0]] if reshapes else (node, index)
    return uses


def _what_follows(uses: _Uses, node: onnx.NodeProto) -> str:
    """The operator that takes a layer's output, past normalization and scaling."""
    if node.output[0] not in uses:
        return ""
    follower, _ = uses[node.output[0]]
    if follower.op_type in ("BatchNormalization", "Mul", "Add"):
        return _what_follows(uses, follower)
    return follower.op_type


def _draw(
    random: np.random.Generator, shape: tuple[int, ...], node: onnx.NodeProto, place: int, follower: str
) -> np.ndarray:
    """Values for one parameter: with He's variance before a Relu, and residual branches halved."""
    gain = 2 if follower == "Relu" else 1

    def uniform(mean: float, deviation: float) -> np.ndarray:
        values = random.random(shape, dtype=np.float32)
        values -= np.float32(0.5)
        values *= np.float32(deviation * math.sqrt(12))
        values += np.float32(mean)
        return values

    match node.op_type, place:
        case "Conv", 1:
            return uniform(0, math.sqrt(gain / math.prod(shape[1:])))
        case "Gemm", 1:
            transposed = any(item.name == "transB" and item.i for item in node.attribute)
            return uniform(0, math.sqrt(gain / shape[-1 if transposed else -2]))
        case ("BatchNormalization", 1):
            return uniform(0.5 if follower == "Sum" else 1, 0.1)
        case ("Mul", _):
            return uniform(1, 0.1)
        case "BatchNormalization", 4:
            return uniform(1, math.sqrt(1 / 12))
        case ("Conv" | "Gemm" | "BatchNormalization" | "Add", _):
            return uniform(0, 0.1)
    raise ValueError(f"no rule for a parameter of {node.op_type}")
