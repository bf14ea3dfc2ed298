"""Models whose weights stand in files beside them, for the tests that read and write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import normdeploy as nd
from tests.builders import model

FLOAT = TensorProto.FLOAT
SIZE = 128
"""Numbers in a tensor: enough for a file of its own, beyond 256 bytes."""

X = np.arange(SIZE, dtype=np.float32)


def external(name: str, location: str, values: np.ndarray | None = None) -> onnx.TensorProto:
    """A tensor whose numbers stand in a file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[SIZE], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    if values is not None:
        tensor.external_data.add(key="length", value=str(values.nbytes))
    return tensor


def weights(folder: Path, name: str, first: float) -> onnx.TensorProto:
    """Write a file with a weight, and refer to it."""
    values = np.arange(first, first + SIZE, dtype=np.float32)
    (folder / name).write_bytes(values.tobytes())
    return external("w", name, values)


def adding(tensor: onnx.TensorProto | None) -> onnx.ModelProto:
    """y = x + w, and w is the tensor, if it is one of the graph's initializers."""
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], {"x": (FLOAT, [SIZE])}, {"y": (FLOAT, [SIZE])}
    )
    if tensor is not None:
        proto.graph.initializer.append(tensor)
    return proto


def written(folder: Path, name: str, first: float, data: str) -> Path:
    """A file of that model, and its data beside it."""
    (folder / name).write_bytes(adding(weights(folder, data, first)).SerializeToString())
    return folder / name


def result(path: Path) -> list[float]:
    """What the model makes of X."""
    return nd.evaluate(path, {"x": X})["y"].tolist()


def expected(first: float) -> list[float]:
    """What it should make of it."""
    return (X + np.arange(first, first + SIZE)).tolist()
