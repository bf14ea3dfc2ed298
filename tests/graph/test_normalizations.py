import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from normdeploy.graph.inference import computed_types, infer
from normdeploy.graph.intra_channel_lrn import add_function, intra_channel_lrn
from normdeploy.graph.io import load
from normdeploy.graph.normalizations import normalizations
from normdeploy.lrn import LRN
from tests.builders import conv_lrn, model, unary


def test_functions_are_searched_and_their_parameters_may_be_their_callers():
    node = helper.make_node("LRN", ["a"], ["b"], name="inner", beta=0.5)
    node.attribute.append(
        onnx.AttributeProto(name="size", ref_attr_name="width", type=onnx.AttributeProto.INT)
    )
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Normalize", ["a"], ["b"], [node], opsets, attributes=["width"])
    proto = unary("Normalize", [1, 4, 3, 3], domain="own", width=3)
    proto.opset_import.add(domain="own", version=1)
    proto.functions.append(function)
    (found,) = normalizations(load(proto))
    assert (found.node, found.where) == ("inner", "function own.Normalize")
    assert found.parameters == {"alpha": 1e-4, "beta": 0.5, "bias": 1.0, "size": "@width"}
    assert found.paper is None
    assert found.not_native is None


def test_lrn_within_a_channel():
    x = ir.Value(name="x", shape=ir.Shape(("N", 4, 5, 5)), type=ir.TensorType(ir.DataType.FLOAT))
    node = intra_channel_lrn(x, LRN(3, 0.9, 0.75, 1.0, "within", "torch"), 2, name="within")
    node.outputs[0].name = "y"
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 18}, name="g")
    wrapped = ir.Model(graph, ir_version=9)
    add_function(wrapped)
    (found,) = normalizations(wrapped)
    assert found.is_lrn
    assert found.trainable == 0
    assert found.paper is not None
    assert abs(found.paper["alpha"] - 0.1) < 1e-9
    assert set(found.not_native or ()) == {"onnx", "onnxruntime", "tensorrt"}


def test_training_mode_is_refused_by_tensorrt():
    proto = model(
        [helper.make_node("BatchNormalization", ["x", *["p"] * 4], ["y", "m", "v"], training_mode=1)],
        {"x": (TensorProto.FLOAT, ["N", 5])},
        {"y": (TensorProto.FLOAT, ["N", 5])},
        {"p": np.ones(5, np.float32)},
    )
    (found,) = normalizations(load(proto))
    assert found.not_native == {"tensorrt": "training_mode is 1"}
    assert found.trainable == 10


def test_parameters_of_unknown_shape_are_not_counted():
    proto = model(
        [helper.make_node("LayerNormalization", ["x", "scale"], ["y"], name="layer")],
        {"x": (TensorProto.FLOAT, ["N", 5]), "scale": (TensorProto.FLOAT, ["C"])},
        {"y": (TensorProto.FLOAT, ["N", 5])},
    )
    (found,) = normalizations(load(proto))
    assert (found.node, found.trainable, found.not_native) == ("layer", None, None)


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
