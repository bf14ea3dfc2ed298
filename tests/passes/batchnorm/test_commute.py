"""Maps pass the nodes that they commute with, in both directions, and no others."""

import numpy as np
import onnx
import pytest

import normdeploy as nd
from tests.builders import BN, FLOAT, Graph
from tests.passes.batchnorm.folding import assert_folded, assert_kept, behind_conv


def test_through_identity_and_dropout():
    g = Graph()
    y = g.node("Dropout", g.node("Identity", g.conv(g.input("x", "N", 3, 8, 8), 3, 6)))
    assert_folded(g.model(g.bn(y, 6)), "Conv")


def test_through_average_pool():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    assert_folded(g.model(g.bn(y, 6)), "Conv AveragePool")


def test_through_average_pool_that_leaves_padding_out():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4)
    assert_folded(g.model(g.bn(y, 6)), "Conv AveragePool")


def test_average_pool_that_counts_padding():
    def make(g: Graph, y: str) -> str:
        y = g.node("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
        return g.bn(y, 6)

    assert_kept(behind_conv(make), r"AveragePool 'averagepool_2' counts its padding")


def test_through_max_pool_with_positive_scale():
    g = Graph()
    y = g.node("MaxPool", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), kernel_shape=[2, 2])
    y = g.node(BN, y, g.weight([1.5] * 6), g.normal(6), g.normal(6), g.weight(g.random.uniform(0.5, 2, 6)))
    assert_folded(g.model(y), "Conv MaxPool")


def test_max_pool_with_a_negative_scale():
    def make(g: Graph, y: str) -> str:
        y = g.node("MaxPool", y, kernel_shape=[2, 2])
        zeros, ones = g.weight(np.zeros(6)), g.weight(np.ones(6))
        return g.node(BN, y, g.weight([1, 1, -1, 1, 1, 1]), zeros, zeros, ones)

    assert_kept(behind_conv(make), r"MaxPool 'maxpool_2' meets the scale -0.999995, not above 0")


def test_through_reduce_mean():
    g = Graph(opset=18)
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("ReduceMean", y, g.weight([-1, -2], np.int64), keepdims=0)
    assert_folded(g.model(g.bn(y, 6)), "Conv ReduceMean")


def test_through_reshape_that_keeps_channels():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Reshape", y, g.weight([0, 0, -1], np.int64))
    assert_folded(g.model(g.bn(y, 6)), "Conv Reshape")


def test_through_flatten_of_pooled():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Flatten", g.node("GlobalAveragePool", y))
    assert_folded(g.model(g.bn(y, 6)), "Conv GlobalAveragePool Flatten")


def test_flatten_that_mixes_channels():
    assert_kept(
        behind_conv(lambda g, y: g.bn(g.node("Flatten", y), 216)),
        r"turns \[N, 6, 6, 6\] into \[N, 216\]: it does not keep the channels",
    )


def test_through_flatten_into_the_following_gemm():
    g = Graph()
    y = g.node("Flatten", g.bn(g.input("x", "N", 3, 4, 4), 3))
    assert_folded(g.model(g.node("Gemm", y, g.normal(48, 5), g.normal(5))), "Flatten Gemm")


def test_through_pool_and_flatten_into_the_following_gemm():
    g = Graph()
    y = g.node("Flatten", g.node("GlobalAveragePool", g.bn(g.input("x", "N", 3, 4, 4), 3)))
    assert_folded(g.model(g.node("Gemm", y, g.normal(3, 5), g.normal(5))), "GlobalAveragePool Flatten Gemm")


def test_a_shift_passes_a_pool_that_counts_padding_only_if_there_is_none():
    def pooled(shift: float, pads: int):
        g = Graph()
        y = g.conv(g.input("x", "N", 3, 8, 8), 3, 4)
        y = g.node("AveragePool", y, kernel_shape=[3, 3], pads=[pads] * 4, count_include_pad=1)
        zeros = g.weight(np.zeros(4))
        return g.model(g.node(BN, y, g.normal(4), g.weight([shift] * 4), zeros, g.weight(np.ones(4))))

    assert_folded(pooled(0, 1), "Conv AveragePool")
    assert_folded(pooled(1, 0), "Conv AveragePool")
    assert_kept(pooled(1, 1), "AveragePool 'averagepool_2' counts its padding, which meets a shift")


def test_a_mean_over_channels_lets_no_map_pass():
    g = Graph(opset=18)
    y = g.conv(g.input("x", "N", 6, 8, 8), 6, 6)
    y = g.node("ReduceMean", y, g.weight([1], np.int64))
    assert_kept(g.model(g.bn(y, 1)), r"averages over axes \[1\], not over positions only")


def test_a_mean_over_all_axes_lets_no_map_pass():
    g = Graph()
    y = g.node("ReduceMean", g.conv(g.input("x", 2, 3, 8, 8), 3, 1))
    assert_kept(g.model(g.bn(y, 1)), "averages over axes None, not over positions only")


def test_a_reshape_between_other_channels_lets_no_map_pass():
    g = Graph()
    y = g.node("Reshape", g.conv(g.input("x", 2, 3, 8, 8), 3, 6), g.weight([2, 3, 2, 36], np.int64))
    assert_kept(
        g.model(g.bn(y, 3)), r"turns \[2, 6, 6, 6\] into \[2, 3, 2, 36\]: it does not keep the channels"
    )


def test_squeezing_positions_away_lets_maps_pass():
    g = Graph()
    y = g.node("GlobalAveragePool", g.conv(g.input("x", 2, 3, 8, 8), 3, 6))
    y = g.node("Squeeze", y, g.weight([2, 3], np.int64))
    assert_folded(g.model(g.bn(y, 6)), "Conv GlobalAveragePool Squeeze")


def dropped(opset: int, **attributes) -> onnx.ModelProto:
    g = Graph(opset=opset)
    y = g.node("Dropout", g.conv(g.input("x", 2, 3, 8, 8), 3, 6), **attributes)
    return g.model(g.bn(y, 6, **({"is_test": 1} if opset < 7 else {})))


@pytest.mark.parametrize(
    ("opset", "attributes", "folds"),
    [(6, {}, False), (6, {"is_test": 0}, False), (6, {"is_test": 1}, True), (7, {}, True), (13, {}, True)],
)
def test_dropout_lets_maps_pass_at_inference_only(opset, attributes, folds):
    """Before opset 7 it is in training mode unless it says otherwise."""
    result = nd.optimize(dropped(opset, **attributes), verify=False)
    (record,) = result.report.batchnorm
    assert record.status == ("folded" if folds else "kept")
    if not folds:
        assert "Dropout 'dropout_2' is in training mode, or its mask is used" in record.reason


def test_dropout_whose_mask_is_used_lets_no_map_pass():
    g = Graph()
    y = g.node("Dropout", g.conv(g.input("x", 2, 3, 8, 8), 3, 6), outputs=2)
    mask = g.node("Cast", f"{g.nodes[-1].name}_out1", to=FLOAT)
    assert_kept(g.model(g.bn(y, 6), mask), "is in training mode, or its mask is used")
