"""Layers absorb the maps behind and before them, or say why not."""

import numpy as np

import normdeploy as nd
from tests.builders import BN, Graph
from tests.equivalence import operators, optimized
from tests.passes.batchnorm.folding import assert_folded, assert_kept


def conv(rank: int = 2, **attributes):
    g = Graph()
    x = g.input("x", "N", 4, *[9, 8, 7][:rank])
    group = attributes.pop("group", 1)
    y = g.conv(x, 4, 8, rank=rank, group=group, bias=attributes.pop("bias", True), **attributes)
    return g.model(g.bn(y, 8))


def test_conv_1d():
    assert_folded(conv(1), "Conv")


def test_conv_2d_padded():
    assert_folded(conv(2, pads=[1] * 4, strides=[2, 2]), "Conv")


def test_conv_3d():
    assert_folded(conv(3), "Conv")


def test_conv_without_bias():
    assert_folded(conv(bias=False), "Conv")


def test_conv_grouped():
    assert_folded(conv(group=2), "Conv")


def test_conv_depthwise():
    assert_folded(conv(group=4), "Conv")


def conv_transpose(group: int, bias: bool, rank: int = 2):
    g = Graph()
    x = g.input("x", "N", 4, *[5] * rank)
    inputs = [x, g.normal(4, 6 // group, *[3] * rank)] + ([g.normal(6)] if bias else [])
    y = g.node("ConvTranspose", *inputs, group=group, strides=[2] * rank)
    return g.model(g.bn(y, 6))


def test_conv_transpose_plain():
    assert_folded(conv_transpose(1, True), "ConvTranspose")


def test_conv_transpose_grouped():
    assert_folded(conv_transpose(2, False), "ConvTranspose")


def test_conv_transpose_3d():
    assert_folded(conv_transpose(2, True, rank=3), "ConvTranspose")


def gemm(c_shape=None, **attributes):
    g = Graph()
    x = g.input("x", *((3, 5) if not attributes.get("transA") else (5, 3)))
    weight = g.normal(*((6, 5) if attributes.get("transB") else (5, 6)))
    inputs = [x, weight] + ([g.normal(*c_shape)] if c_shape is not None else [])
    return g.model(g.bn(g.node("Gemm", *inputs, **attributes), 6))


def test_gemm_plain():
    assert_folded(gemm((6,)), "Gemm")


def test_gemm_alpha_beta():
    assert_folded(gemm((6,), alpha=0.5, beta=0.25), "Gemm")


def test_gemm_transposed_b():
    assert_folded(gemm((1, 6), transB=1, beta=3.0), "Gemm")


def test_gemm_transposed_a_scalar_c():
    assert_folded(gemm((), transA=1, alpha=2.0), "Gemm")


def test_gemm_without_c():
    assert_folded(gemm(alpha=2.0), "Gemm")


def test_gemm_c_of_rank_2():
    assert_folded(gemm((3, 6), beta=0.5), "Gemm")


def test_gemm_c_per_row():
    assert_folded(gemm((3, 1), beta=0.5), "Gemm")


def test_gemm_of_opset_6_broadcasts_by_other_rules():
    g = Graph(opset=6)
    y = g.node("Gemm", g.input("x", 2, 5), g.normal(5, 6), g.normal(6), broadcast=1)
    result = nd.optimize(g.model(g.bn(y, 6, is_test=1)), verify=False)
    assert "broadcasts its bias only from opset 7 on" in result.report.batchnorm[0].reason


def test_matmul_becomes_gemm():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6))
    assert_folded(g.model(g.bn(y, 6)), "Gemm")


def test_matmul_without_shift_stays_matmul():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6))
    zeros = g.weight(np.zeros(6))
    y = g.node(BN, y, g.normal(6), zeros, zeros, g.weight(np.ones(6)))
    assert_folded(g.model(y), "MatMul")


def test_matmul_add():
    g = Graph()
    y = g.node("Add", g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6)), g.normal(6))
    assert_folded(g.model(g.bn(y, 6)), "Gemm")


def test_matmul_of_rank_3():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 4, 5), g.normal(5, 6))
    assert_kept(g.model(g.bn(y, 4)), r"multiplies tensors of rank 3 and 2: its channels are not on axis 1")


def test_weight_shared_by_two_layers():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    w = g.normal(6, 3, 3, 3)
    assert_folded(g.model(g.bn(g.node("Conv", x, w), 6), g.node("Conv", x, w, strides=[2, 2])), "Conv Conv")


def test_weight_that_is_an_output():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    w = g.normal(6, 3, 3, 3)
    assert_folded(g.model(g.bn(g.node("Conv", x, w), 6), w), "Conv")


def test_a_constant_that_widens_one_channel_stays():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 1)
    result = optimized(g.model(g.bn(g.node("Add", y, g.normal(6, 1, 1)), 6)))
    assert operators(result.model) == {"Conv": 1, "Add": 1, BN: 1}
    assert "Conv 'conv_1' makes 1 channels, the map is for 6" in result.report.batchnorm[0].reason


def test_into_the_following_conv():
    g = Graph()
    y = g.conv(g.node("Relu", g.bn(g.node("Relu", g.input("x", "N", 3, 8, 8)), 3)), 3, 4)
    del g.nodes[2]  # the Relu between the two
    g.nodes[2].input[0] = g.nodes[1].output[0]
    assert_folded(g.model(y), "Relu Conv")


def test_into_the_following_grouped_conv():
    g = Graph()
    assert_folded(g.model(g.conv(g.bn(g.input("x", "N", 4, 8, 8), 4), 4, 6, group=2)), "Conv")


def test_into_a_padded_conv_without_shift():
    g = Graph()
    zeros = g.weight(np.zeros(4))
    y = g.node(BN, g.input("x", "N", 4, 8, 8), g.normal(4), zeros, zeros, g.weight(np.ones(4)))
    assert_folded(g.model(g.conv(y, 4, 6, pads=[1] * 4, bias=False)), "Conv")


def test_padding_meets_shift():
    g = Graph()
    assert_kept(
        g.model(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6, pads=[1] * 4)),
        r"the padding \[1, 1, 1, 1\] of Conv 'conv_2' meets the shift",
    )


def test_automatic_padding_meets_shift():
    g = Graph()
    assert_kept(
        g.model(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6, auto_pad="SAME_UPPER")),
        r"the padding SAME_UPPER of Conv 'conv_2' meets the shift",
    )


def test_into_a_conv_transpose_without_shift():
    g = Graph()
    zeros = g.weight(np.zeros(4))
    y = g.node(BN, g.input("x", "N", 4, 8, 8), g.normal(4), zeros, zeros, g.weight(np.ones(4)))
    assert_folded(g.model(g.node("ConvTranspose", y, g.normal(4, 5, 3, 3))), "ConvTranspose")


def test_into_the_following_gemm():
    g = Graph()
    y = g.bn(g.input("x", "N", 4), 4)
    y = g.node("Gemm", y, g.normal(6, 4), g.normal(6), transB=1, alpha=0.5, beta=2.0)
    assert_folded(g.model(y), "Gemm")


def test_gemm_that_sums_over_the_batch():
    g = Graph()
    y = g.node("Gemm", g.bn(g.input("x", 3, 4), 4), g.normal(3, 6), transA=1)
    assert_kept(g.model(y), r"has transA = 1: it sums over the batch")


def test_into_the_following_matmul():
    g = Graph()
    assert_folded(g.model(g.node("MatMul", g.bn(g.input("x", "N", 4), 4), g.normal(4, 6))), "Gemm")


def test_around_a_conv():
    g = Graph()
    y = g.bn(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6), 6)
    assert_folded(g.model(y), "Conv")
