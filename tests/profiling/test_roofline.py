"""The floor of a normalization layer: its bytes over the bandwidth."""

import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normdeploy.backends.session import LayerTime
from normdeploy.profiling.layers import attribute, normalization_kinds, with_rooflines
from normdeploy.profiling.roofline import bytes_moved, roofline, with_input_shapes
from tests.builders import conv_lrn, model

HALF = TensorProto.FLOAT16


def network(dtype=TensorProto.FLOAT) -> ir.Model:
    """x -> relu -> batch normalization -> lrn -> y; what the normalization gives is z as well."""
    channels = {name: (dtype, [4]) for name in ("scale", "bias", "mean", "var")}
    proto = model(
        [
            helper.make_node("Relu", ["x"], ["r"], name="relu"),
            helper.make_node("BatchNormalization", ["r", *channels], ["z"], name="norm"),
            helper.make_node("LRN", ["z"], ["y"], name="lrn", size=3),
        ],
        {"x": (dtype, ["N", 4, 5, 5]), **channels},
        {"y": (dtype, ["N", 4, 5, 5]), "z": (dtype, ["N", 4, 5, 5])},
    )
    return ir.from_proto(proto)


def test_the_arithmetic():
    """1 MB at 1 GB/s is 1 ms."""
    found = roofline(1_000_000, 1e9, measured_ms=4.0)
    assert (found.bytes_moved, found.floor_ms, found.share) == (1_000_000, 1.0, 0.25)


@pytest.mark.parametrize(("dtype", "itemsize"), [(TensorProto.FLOAT, 4), (HALF, 2)])
def test_each_element_in_and_out_counts_once(dtype, itemsize):
    sized = with_input_shapes(network(dtype), {"x": (2, 4, 5, 5)})
    relu, norm, lrn = sized.graph
    tensor, parameters = 2 * 4 * 5 * 5 * itemsize, 4 * 4 * itemsize
    assert bytes_moved([relu]) == bytes_moved([lrn]) == 2 * tensor
    assert bytes_moved([norm]) == 2 * tensor + parameters
    assert bytes_moved([relu, norm]) == 2 * tensor + parameters, "r stays inside"
    assert bytes_moved([norm, lrn]) == 3 * tensor + parameters, "z is an output of the model"


def test_a_tensor_that_is_read_twice_comes_in_once():
    proto = model(
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        {"x": (TensorProto.FLOAT, [8])},
        {"y": (TensorProto.FLOAT, [8])},
    )
    assert bytes_moved(list(ir.from_proto(proto).graph)) == 64


def test_unknown_sizes_have_no_floor_and_given_ones_do_not_change_the_model():
    open_batch = ir.from_proto(conv_lrn())
    lrn = open_batch.graph[1]
    assert bytes_moved([lrn]) is None
    sized = with_input_shapes(open_batch, {"x": (4, 3, 6, 6)})
    assert bytes_moved([sized.graph[1]]) == 2 * 4 * 8 * 6 * 6 * 4
    assert bytes_moved([lrn]) is None


def test_named_sizes_are_followed_where_operators_do_not_tell_them():
    def sized(name):
        proto = model(
            [helper.make_node("Reshape", ["x", "shape"], ["y"])],
            {"x": (TensorProto.FLOAT, [name, 3]), "shape": (TensorProto.INT64, [2])},
            {"y": (TensorProto.FLOAT, [name, 3])},
        )
        return with_input_shapes(ir.from_proto(proto), {"x": (5, 3), "shape": (2,)})

    assert bytes_moved(list(sized("N").graph)) == 2 * 5 * 3 * 4 + 16
    assert bytes_moved(list(sized(None).graph)) is None


def test_normalization_on_its_own_gets_a_roofline():
    sized = with_input_shapes(network(), {"x": (2, 4, 5, 5)})
    times = [
        LayerTime("relu", "", ["x"], ["r"], 1.0),
        LayerTime("norm_1", "", ["r"], ["inner"], 3.0),
        LayerTime("norm_2", "", ["inner"], ["z"], 1.0),
        LayerTime("lrn", "", ["z"], ["y"], 2.0),
    ]
    layers = attribute(times, sized, normalization_kinds([sized]))
    relu, first, second, lrn = with_rooflines(layers, sized, bytes_per_second=1e6)
    assert relu.roofline is None
    assert relu.to_json()["floor_ms"] is None
    assert first.roofline == second.roofline == roofline(1664, 1e6, measured_ms=4.0)
    document = lrn.to_json()
    assert (document["bytes_moved"], document["floor_ms"], document["floor_share"]) == (1600, 1.6, 0.8)
    assert "roofline" not in document


def test_a_fused_normalization_or_one_without_time_gets_none():
    sized = with_input_shapes(ir.from_proto(conv_lrn()), {"x": (4, 3, 6, 6)})
    kinds = normalization_kinds([sized])
    for times in (
        [LayerTime("all", "", ["x"], ["y"], 1.0)],
        [LayerTime("conv", "", ["x"], ["c"], 1.0), LayerTime("lrn", "", ["c"], ["y"], 0.0)],
    ):
        layers = with_rooflines(attribute(times, sized, kinds), sized, 1e9)
        assert all(layer.roofline is None for layer in layers)
