"""Sparse tensors become dense ones when a model is read: nothing after that has to know two forms.

ONNX has them as initializers of graphs and as the `sparse_value` of Constant.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from normdeploy.errors import ModelError
from normdeploy.graph.protobuf import PROTOBUF_LIMIT, proto_messages
from normdeploy.graph.shapes import MOST_AXES

_SPARSE_VALUE = "sparse_value"


def with_dense_tensors(proto: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """The message, or a copy of it, in which every sparse tensor is a dense one.

    Args:
        proto: a model that onnx.checker has passed.
        folder: in which its external data stands, if it has any.

    Raises:
        ModelError: the dense tensors take more than one protobuf message can hold, or hold strings.
    """
    sparse = [message for message in proto_messages(proto) if isinstance(message, onnx.SparseTensorProto)]
    if not sparse:
        return proto
    total = sum(_dense_bytes(tensor) for tensor in sparse)
    if total > PROTOBUF_LIMIT:
        raise ModelError(
            f"has sparse tensors that take {total / 2**30:.4g} GiB as dense ones, and "
            f"{PROTOBUF_LIMIT / 2**30:.2g} GiB is the most for one model"
        )
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for message in list(proto_messages(copy)):
        if isinstance(message, onnx.GraphProto):
            message.initializer.extend(_dense(tensor, folder) for tensor in message.sparse_initializer)
            message.ClearField("sparse_initializer")
        if isinstance(message, onnx.AttributeProto) and message.HasField("sparse_tensor"):
            if message.name != _SPARSE_VALUE:
                raise ModelError(f"attribute '{message.name}' is a sparse tensor, which no operator takes")
            message.name, message.type = "value", onnx.AttributeProto.TENSOR
            message.t.CopyFrom(_dense(message.sparse_tensor, folder))
            message.ClearField("sparse_tensor")
    return copy


def _dense_bytes(tensor: onnx.SparseTensorProto) -> int:
    dtype = ir.DataType(tensor.values.data_type)
    if dtype == ir.DataType.STRING:
        raise ModelError(f"the sparse tensor '{tensor.values.name}' holds strings: make it a dense one")
    if len(tensor.dims) > MOST_AXES:
        raise ModelError(f"the sparse tensor '{tensor.values.name}' has more than {MOST_AXES} axes")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"the sparse tensor '{tensor.values.name}' has a negative dimension")
    return math.ceil(math.prod(tensor.dims) * dtype.bitwidth / 8)


def _dense(tensor: onnx.SparseTensorProto, folder: Path | None) -> onnx.TensorProto:
    values, indices = (
        ir.serde.deserialize_tensor(part, str(folder or "")) for part in (tensor.values, tensor.indices)
    )
    places, shape = indices.numpy(), tuple(tensor.dims)
    try:
        if places.ndim > 1:
            places = np.ravel_multi_index(tuple(places.T), shape)
        dense = np.zeros(math.prod(shape), values.dtype.numpy())
        dense[places] = values.numpy()
    except (ValueError, IndexError) as error:
        reason = f"has indices outside of its shape {list(shape)} ({error})"
        raise ModelError(f"the sparse tensor '{tensor.values.name}' {reason}") from error
    name = tensor.values.name
    return ir.serde.serialize_tensor(ir.Tensor(dense.reshape(shape), dtype=values.dtype, name=name))
