"""Types and shapes that follow from a model's operators."""

import logging
import resource

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper

from normdeploy.budget import spending
from normdeploy.graph.inference import computed_types, infer
from normdeploy.graph.io import load
from normdeploy.graph.shapes import dims_of
from tests.builders import conv_lrn, model, unary


def test_what_nodes_compute_gets_type_and_shape():
    loaded = load(conv_lrn(batch="N"))
    infer(loaded)
    conv, _ = loaded.graph
    (value,) = conv.outputs
    assert value.dtype == ir.DataType.FLOAT
    assert value.shape is not None
    assert dims_of(value.shape) == ("N", 8, 6, 6)


def test_a_shape_that_is_computed_from_another_is_known():
    """As exporters write a flattening: the shape's first element joined with -1."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=0, end=1),
        helper.make_node("Concat", ["shape", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["y"]),
    ]
    ends = {"x": (TensorProto.FLOAT, [2, 3, 4])}, {"y": (TensorProto.FLOAT, ["a", "b"])}
    loaded = load(model(nodes, *ends, {"rest": np.array([-1], np.int64)}))
    infer(loaded)
    flat = loaded.graph[2].outputs[0]
    assert flat.shape is not None
    assert dims_of(flat.shape) == (2, 12)


def test_initializers_keep_their_order():
    """Large ones too, which the pass of onnx_ir takes out and puts back."""
    weights = {f"w{number}": np.zeros((20, 100 if number % 2 else 1), np.float32) for number in range(5)}
    total = helper.make_node("Concat", ["x", *weights], ["y"], axis=1)
    proto = model(
        [total], {"x": (TensorProto.FLOAT, [20, 1])}, {"y": (TensorProto.FLOAT, [20, 204])}, weights
    )
    loaded = load(proto)
    infer(loaded)
    assert list(loaded.graph.initializers) == list(weights)
    stored = loaded.graph.initializers["w1"].const_value
    assert stored is not None
    assert stored.shape == (20, 100)


def test_a_model_that_cannot_be_followed_stays_as_it_is(caplog, capsys):
    proto = unary("Relu", [2, 3])
    proto.graph.node.insert(0, helper.make_node("MatMul", ["x", "x"], ["z"]))  # 2×3 by 2×3
    loaded = load(proto)
    before = ir.to_proto(loaded).SerializeToString(deterministic=True)
    with caplog.at_level(logging.CRITICAL):
        infer(loaded)
    assert ir.to_proto(loaded).SerializeToString(deterministic=True) == before
    assert capsys.readouterr() == ("", "")


def test_a_model_that_takes_more_memory_to_follow_than_is_left_stays_as_it_is():
    """A Range over constants, which ONNX's inference makes to see what becomes of its numbers."""
    ends = {name: np.array(size, np.int64) for name, size in {"a": 0, "b": 2**27, "d": 1}.items()}
    nodes = [helper.make_node("Range", [*ends], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])]
    loaded = load(model(nodes, {"x": (TensorProto.INT64, [1])}, {"y": (TensorProto.INT64, ["N"])}, ends))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with spending(max_memory=2**26):
        infer(loaded)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most + 2**17, "KiB"


def test_computed_types_leave_stored_ones_out():
    proto = model(
        [
            helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["x", "wide"], ["y"]),
        ],
        {"x": (TensorProto.FLOAT, [3])},
        {"y": (TensorProto.FLOAT, [3])},
        {"w": np.ones(3, np.float16)},
    )
    loaded = load(proto)
    infer(loaded)
    assert computed_types(loaded) == {ir.DataType.FLOAT}


def test_types_inside_a_half_precision_model_with_wide_ends():
    proto = conv_lrn(dtype=np.float16)
    proto.graph.node.append(helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 8, 6, 6]))
    loaded = load(proto)
    infer(loaded)
    assert computed_types(loaded) == {ir.DataType.FLOAT, ir.DataType.FLOAT16}


def test_unknown_types_do_not_count():
    proto = unary("Own", [3], domain="own")
    proto.opset_import.add(domain="own", version=1)
    proto.graph.node.insert(0, helper.make_node("Own", ["x"], ["unknown"], domain="own"))
    loaded = load(proto)
    infer(loaded)
    assert computed_types(loaded) == {ir.DataType.FLOAT}
