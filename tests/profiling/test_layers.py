"""Steps of a runtime find the nodes that they compute."""

import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normdeploy.backends.session import LayerTime
from normdeploy.profiling.layers import attribute, normalization_kinds
from tests.builders import model


@pytest.fixture
def network() -> ir.Model:
    """x -> conv -> relu -> lrn -> y, and the convolution's output scaled by a constant as z."""
    proto = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
            helper.make_node("LRN", ["r"], ["y"], name="lrn", size=3),
        ],
        {"x": (TensorProto.FLOAT, [1, 3, 4, 4]), "w": (TensorProto.FLOAT, [4, 3, 1, 1])},
        {"y": (TensorProto.FLOAT, [1, 4, 4, 4])},
    )
    return ir.from_proto(proto)


def steps(network, times, kinds=None):
    return attribute(times, network, kinds or normalization_kinds([network]))


def nodes(layers):
    return [list(layer.nodes) for layer in layers]


def test_a_fused_step_has_all_its_nodes(network):
    layers = steps(
        network,
        [LayerTime("conv", "FusedConv", ["x", "w"], ["r"], 3.0), LayerTime("lrn", "LRN", ["r"], ["y"], 1.0)],
    )
    assert nodes(layers) == [["conv", "relu"], ["lrn"]]
    assert [layer.share for layer in layers] == [0.75, 0.25]
    assert [layer.normalization for layer in layers] == [None, "LRN across channels"]
    assert not layers[1].fused


def test_steps_in_another_layout_are_found_through_the_change_of_layout(network):
    layers = steps(
        network,
        [
            LayerTime("r_nchwc", "Conv", ["x"], ["token_0"], 1.0),
            LayerTime("ReorderOutput", "ReorderOutput", ["token_0"], ["r"], 1.0),
            LayerTime("lrn", "LRN", ["r"], ["y"], 1.0),
        ],
    )
    assert nodes(layers) == [["conv", "relu"], [], ["lrn"]]


def test_the_inside_of_a_node_belongs_to_it(network):
    layers = steps(
        network,
        [
            LayerTime("conv", "FusedConv", ["x", "w"], ["r"], 1.0),
            LayerTime("body_1", "Mul", ["r"], ["inner_1"], 1.0),
            LayerTime("body_2", "AveragePool", ["inner_1"], ["inner_2"], 1.0),
            LayerTime("body_3", "Div", ["r", "inner_2"], ["y"], 1.0),
        ],
    )
    assert nodes(layers) == [["conv", "relu"], ["lrn"], ["lrn"], ["lrn"]]
    assert [layer.normalization is not None for layer in layers] == [False, True, True, True]


def test_a_step_without_tensors_is_found_by_name(network):
    assert nodes(steps(network, [LayerTime("lrn", "LRN", [], [], 1.0)])) == [["conv", "relu", "lrn"]]


def test_a_fused_step_without_tensors_is_found_by_its_nodes_names(network):
    layers = steps(network, [LayerTime("conv + relu", "", [], [], 1.0), LayerTime("lrn", "", [], [], 1.0)])
    assert nodes(layers) == [["conv", "relu"], ["lrn"]]


def test_normalization_inside_a_convolution_is_marked_as_fused(network):
    (layer,) = steps(network, [LayerTime("all", "FusedConv", ["x"], ["y"], 1.0)])
    assert (layer.normalization, layer.fused) == ("LRN across channels", True)


def test_a_step_that_the_runtime_made_up_has_no_nodes(network):
    (layer,) = steps(network, [LayerTime("copy", "Memcpy", ["a"], ["b"], 0.0)])
    assert (layer.nodes, layer.share) == ([], 0.0)


def test_what_a_normalization_was_lowered_to_is_marked(network):
    kinds = {"relu": "LRN across channels"}
    network.graph[0].name = "relu.sum"
    (layer,) = steps(network, [LayerTime("relu.sum", "Conv", ["x"], ["c"], 1.0)], kinds)
    assert (layer.normalization, layer.fused) == ("LRN across channels", False)
