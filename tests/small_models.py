"""Small ONNX models that several tests share."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

Dims = Sequence[int | str | None]


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Dims]],
    outputs: Mapping[str, tuple[int, Dims]],
    weights: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of IR version 8; inputs and outputs are name -> (element type, shape)."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, *declared) for name, declared in inputs.items()],
        [helper.make_tensor_value_info(name, *declared) for name, declared in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def conv_lrn(
    alpha: float = 1e-2,
    beta: float = 0.75,
    bias: float = 2.0,
    size: int = 5,
    dtype: type = np.float32,
    batch: int | str = "N",
    spatial: int | str = 6,
) -> onnx.ModelProto:
    """x (batch, 3, spatial, spatial) -> Conv -> LRN -> y (batch, 8, spatial, spatial)."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(dtype)
    return model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1] * 4),
            helper.make_node("LRN", ["c"], ["y"], name="lrn", size=size, alpha=alpha, beta=beta, bias=bias),
        ],
        {"x": (element, [batch, 3, spatial, spatial])},
        {"y": (element, [batch, 8, spatial, spatial])},
        {"w": weights},
    )


def classifier(classes: int = 4, batch: int | str = "N") -> onnx.ModelProto:
    """x (batch, 6) -> MatMul with the identity's first rows -> scores (batch, classes)."""
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        {"x": (onnx.TensorProto.FLOAT, [batch, 6])},
        {"scores": (onnx.TensorProto.FLOAT, [batch, classes])},
        {"w": np.eye(6, classes, dtype=np.float32)},
    )


def unary(
    op_type: str,
    dims: Dims,
    element: int = onnx.TensorProto.FLOAT,
    output_dims: Dims | None = None,
    **attributes,
) -> onnx.ModelProto:
    """x -> one node -> y."""
    return model(
        [helper.make_node(op_type, ["x"], ["y"], **attributes)],
        {"x": (element, dims)},
        {"y": (element, dims if output_dims is None else output_dims)},
    )
