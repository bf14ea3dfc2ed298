"""ONNX models as networks of TensorRT-RTX, which shares its parser with TensorRT."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.backends.tensorrt.model import as_dtype, dtype_of
from normdeploy.errors import ModelError
from tests.builders import conv_lrn, model


def test_the_network_is_strongly_typed(trt, parse):
    network = parse(conv_lrn(dtype=np.float16))
    assert network.network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert [layer["type"] for layer in network.layers] == ["CONVOLUTION", "LRN"]
    assert [layer["datatypes"] for layer in network.layers] == [["HALF"], ["HALF"]]
    assert dtype_of(network.inputs["x"].dtype, "x") == np.float16


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        (onnx.TensorProto.FLOAT, np.float32),
        (onnx.TensorProto.FLOAT16, np.float16),
        (onnx.TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (onnx.TensorProto.INT64, np.int64),
        (onnx.TensorProto.INT32, np.int32),
        (onnx.TensorProto.BOOL, np.bool_),
        (onnx.TensorProto.DOUBLE, np.float32),
    ],
)
def test_types_of_inputs(parse, element, dtype):
    graph = model(
        [helper.make_node("Transpose", ["x"], ["y"])], {"x": (element, [2, 3])}, {"y": (element, [3, 2])}
    )
    network = parse(graph)
    assert dtype_of(network.inputs["x"].dtype, "x") == dtype
    assert dtype_of(network.outputs["y"].dtype, "y") == dtype


def test_a_type_that_arrays_cannot_hold(trt):
    with pytest.raises(ModelError, match="tensor 'x' is INT4, which arrays cannot hold"):
        dtype_of(trt.DataType.INT4, "x")


def test_values_are_never_changed_by_more_than_rounding():
    assert as_dtype(np.array([1.5, np.pi]), np.dtype(np.float32), "x").dtype == np.float32
    assert as_dtype(np.array([7], np.int64), np.dtype(np.int32), "x").tolist() == [7]
    with pytest.raises(ModelError, match="input 'x' has values that int32 cannot hold"):
        as_dtype(np.array([2**40]), np.dtype(np.int32), "x")


def test_an_input_that_decides_shapes_is_refused(parse):
    graph = model(
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"x": (onnx.TensorProto.FLOAT, [2, 3]), "s": (onnx.TensorProto.INT64, [2])},
        {"y": (onnx.TensorProto.FLOAT, [None, None])},
    )
    with pytest.raises(ModelError, match="input 's' decides shapes by its values"):
        parse(graph)


def test_a_refused_node_is_named_with_the_reason(parse):
    with pytest.raises(
        ModelError, match=r"^the parser refuses node 'lrn' \(LRN\): .*optimize --target tenso"
    ):
        parse(conv_lrn(size=4))
