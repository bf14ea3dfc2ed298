import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normdeploy.graph.intra_channel_lrn import add_function, intra_channel_lrn
from normdeploy.graph.io import load
from normdeploy.graph.normalizations import is_lrn, lrn_of, normalizations
from normdeploy.lrn import LRN
from tests.builders import model, unary


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


def test_which_nodes_are_lrn():
    x = ir.Value(name="x")
    found = {
        (op_type, domain): is_lrn(ir.node(op_type, [x], domain=domain))
        for op_type in ("LRN", "IntraChannelLRN", "BatchNormalization")
        for domain in ("", "ai.onnx", "normdeploy", "own")
    }
    assert {key for key, yes in found.items() if yes} == {
        ("LRN", ""),
        ("LRN", "ai.onnx"),
        ("IntraChannelLRN", "normdeploy"),
    }


def test_the_definition_of_an_lrn_node():
    x = ir.Value(name="x")
    assert lrn_of(ir.node("LRN", [x], {"size": 3, "bias": 2.0})) == LRN(3, 1e-4, 0.75, 2.0, "across", "onnx")
    within = LRN(4, 0.5, 0.75, 1.0, "within", "torch")
    assert lrn_of(intra_channel_lrn(x, within, 2)) == within


@pytest.mark.parametrize(
    "node",
    [
        ir.node("LRN", [], {"size": 3}, domain="own"),
        ir.node("Relu", []),
        ir.node("LRN", []),
        ir.node("LRN", [], {"size": 0}),
        ir.node("LRN", [], {"size": ir.RefAttr("size", "width", ir.AttributeType.INT)}),
    ],
    ids=["another domain", "another operator", "no size", "size 0", "the caller's size"],
)
def test_a_node_without_a_definition(node):
    assert lrn_of(node) is None
