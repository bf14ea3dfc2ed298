"""More than forty graphs around BatchNormalization, each with what has to become of it."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.builders import BN, Graph
from tests.equivalence import operators, optimized, random_inputs, run_in_onnxruntime

Case = Callable[[], tuple]
FOLDED: dict[str, Case] = {}
KEPT: dict[str, tuple[Case, str]] = {}


def folded(case: Case) -> Case:
    """The case gives (model, operators that are left)."""
    FOLDED[case.__name__] = case
    return case


def kept(reason: str) -> Callable[[Case], Case]:
    """The case gives (model,): every BatchNormalization stays, for this reason."""

    def register(case: Case) -> Case:
        KEPT[case.__name__] = (case, reason)
        return case

    return register


# Forward, into what computes the input


def conv(rank: int = 2, **attributes):
    g = Graph()
    x = g.input("x", "N", 4, *[9, 8, 7][:rank])
    group = attributes.pop("group", 1)
    y = g.conv(x, 4, 8, rank=rank, group=group, bias=attributes.pop("bias", True), **attributes)
    return g.model(g.bn(y, 8)), "Conv"


@folded
def conv_1d():
    return conv(1)


@folded
def conv_2d_padded():
    return conv(2, pads=[1] * 4, strides=[2, 2])


@folded
def conv_3d():
    return conv(3)


@folded
def conv_without_bias():
    return conv(bias=False)


@folded
def conv_grouped():
    return conv(group=2)


@folded
def conv_depthwise():
    return conv(group=4)


def conv_transpose(group: int, bias: bool, rank: int = 2):
    g = Graph()
    x = g.input("x", "N", 4, *[5] * rank)
    inputs = [x, g.normal(4, 6 // group, *[3] * rank)] + ([g.normal(6)] if bias else [])
    y = g.node("ConvTranspose", *inputs, group=group, strides=[2] * rank)
    return g.model(g.bn(y, 6)), "ConvTranspose"


@folded
def conv_transpose_plain():
    return conv_transpose(1, True)


@folded
def conv_transpose_grouped():
    return conv_transpose(2, False)


@folded
def conv_transpose_3d():
    return conv_transpose(2, True, rank=3)


def gemm(c_shape=None, **attributes):
    g = Graph()
    x = g.input("x", *((3, 5) if not attributes.get("transA") else (5, 3)))
    weight = g.normal(*((6, 5) if attributes.get("transB") else (5, 6)))
    inputs = [x, weight] + ([g.normal(*c_shape)] if c_shape is not None else [])
    return g.model(g.bn(g.node("Gemm", *inputs, **attributes), 6)), "Gemm"


@folded
def gemm_plain():
    return gemm((6,))


@folded
def gemm_alpha_beta():
    return gemm((6,), alpha=0.5, beta=0.25)


@folded
def gemm_transposed_b():
    return gemm((1, 6), transB=1, beta=3.0)


@folded
def gemm_transposed_a_scalar_c():
    return gemm((), transA=1, alpha=2.0)


@folded
def gemm_without_c():
    return gemm(alpha=2.0)


@folded
def gemm_c_of_rank_2():
    return gemm((3, 6), beta=0.5)


@folded
def gemm_c_per_row():
    return gemm((3, 1), beta=0.5)


@folded
def matmul_becomes_gemm():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6))
    return g.model(g.bn(y, 6)), "Gemm"


@folded
def matmul_without_shift_stays_matmul():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6))
    zeros = g.weight(np.zeros(6))
    y = g.node(BN, y, g.normal(6), zeros, zeros, g.weight(np.ones(6)))
    return g.model(y), "MatMul"


@folded
def matmul_add():
    g = Graph()
    y = g.node("Add", g.node("MatMul", g.input("x", "N", 5), g.normal(5, 6)), g.normal(6))
    return g.model(g.bn(y, 6)), "Gemm"


@folded
def through_constants():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Add", y, g.normal(6, 1, 1))
    y = g.node("Mul", g.normal(1, 6, 1, 1), y)
    y = g.node("Sub", y, g.weight(0.5))
    y = g.node("Div", y, g.weight(np.full((1, 6, 1, 1), 3.0)))
    y = g.node("Sub", g.normal(6, 1, 1), y)
    return g.model(g.bn(y, 6)), "Conv"


@folded
def through_addition_per_position():
    g = Graph()
    y = g.node("Add", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), g.normal(1, 6, 6, 6))
    return g.model(g.bn(y, 6)), "Conv Add"


@folded
def through_subtraction_from_a_constant_per_position():
    g = Graph()
    y = g.node("Sub", g.normal(1, 6, 6, 6), g.conv(g.input("x", "N", 3, 8, 8), 3, 6))
    return g.model(g.bn(y, 6)), "Conv Sub"


@folded
def through_identity_and_dropout():
    g = Graph()
    y = g.node("Dropout", g.node("Identity", g.conv(g.input("x", "N", 3, 8, 8), 3, 6)))
    return g.model(g.bn(y, 6)), "Conv"


@folded
def through_reshape_that_keeps_channels():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Reshape", y, g.weight([0, 0, -1], np.int64))
    return g.model(g.bn(y, 6)), "Conv Reshape"


@folded
def through_flatten_of_pooled():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Flatten", g.node("GlobalAveragePool", y))
    return g.model(g.bn(y, 6)), "Conv GlobalAveragePool Flatten"


@folded
def through_average_pool():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    return g.model(g.bn(y, 6)), "Conv AveragePool"


@folded
def through_average_pool_that_leaves_padding_out():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4)
    return g.model(g.bn(y, 6)), "Conv AveragePool"


@folded
def through_reduce_mean():
    g = Graph(opset=18)
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("ReduceMean", y, g.weight([-1, -2], np.int64), keepdims=0)
    return g.model(g.bn(y, 6)), "Conv ReduceMean"


@folded
def through_max_pool_with_positive_scale():
    g = Graph()
    y = g.node("MaxPool", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), kernel_shape=[2, 2])
    y = g.node(BN, y, g.weight([1.5] * 6), g.normal(6), g.normal(6), g.weight(g.random.uniform(0.5, 2, 6)))
    return g.model(y), "Conv MaxPool"


@folded
def into_each_branch_of_a_concat():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    pooled = g.node("AveragePool", g.conv(x, 3, 2), kernel_shape=[3, 3], pads=[1] * 4)
    y = g.node("Concat", g.conv(x, 3, 4), pooled, g.conv(x, 3, 5), axis=1)
    return g.model(g.bn(y, 11)), "Conv Conv Conv AveragePool Concat"


@folded
def concat_along_a_negative_axis():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 4), g.conv(x, 3, 5), axis=-3)
    return g.model(g.bn(y, 9)), "Conv Conv Concat"


# Backward, into what reads the result


@folded
def into_the_following_conv():
    g = Graph()
    y = g.conv(g.node("Relu", g.bn(g.node("Relu", g.input("x", "N", 3, 8, 8)), 3)), 3, 4)
    del g.nodes[2]  # the Relu between the two
    g.nodes[2].input[0] = g.nodes[1].output[0]
    return g.model(y), "Relu Conv"


@folded
def into_the_following_grouped_conv():
    g = Graph()
    return g.model(g.conv(g.bn(g.input("x", "N", 4, 8, 8), 4), 4, 6, group=2)), "Conv"


@folded
def into_a_padded_conv_without_shift():
    g = Graph()
    zeros = g.weight(np.zeros(4))
    y = g.node(BN, g.input("x", "N", 4, 8, 8), g.normal(4), zeros, zeros, g.weight(np.ones(4)))
    return g.model(g.conv(y, 4, 6, pads=[1] * 4, bias=False)), "Conv"


@folded
def into_the_following_gemm():
    g = Graph()
    y = g.bn(g.input("x", "N", 4), 4)
    y = g.node("Gemm", y, g.normal(6, 4), g.normal(6), transB=1, alpha=0.5, beta=2.0)
    return g.model(y), "Gemm"


@folded
def into_the_following_matmul():
    g = Graph()
    return g.model(g.node("MatMul", g.bn(g.input("x", "N", 4), 4), g.normal(4, 6))), "Gemm"


@folded
def into_a_conv_transpose_without_shift():
    g = Graph()
    zeros = g.weight(np.zeros(4))
    y = g.node(BN, g.input("x", "N", 4, 8, 8), g.normal(4), zeros, zeros, g.weight(np.ones(4)))
    return g.model(g.node("ConvTranspose", y, g.normal(4, 5, 3, 3))), "ConvTranspose"


@folded
def through_flatten_into_the_following_gemm():
    g = Graph()
    y = g.node("Flatten", g.bn(g.input("x", "N", 3, 4, 4), 3))
    return g.model(g.node("Gemm", y, g.normal(48, 5), g.normal(5))), "Flatten Gemm"


@folded
def through_pool_and_flatten_into_the_following_gemm():
    g = Graph()
    y = g.node("Flatten", g.node("GlobalAveragePool", g.bn(g.input("x", "N", 3, 4, 4), 3)))
    return g.model(g.node("Gemm", y, g.normal(3, 5), g.normal(5))), "GlobalAveragePool Flatten Gemm"


@folded
def into_all_readers():
    g = Graph()
    y = g.bn(g.input("x", "N", 3, 8, 8), 3)
    return g.model(g.conv(y, 3, 4), g.conv(y, 3, 5)), "Conv Conv"


# Several maps


@folded
def batchnorms_in_a_row():
    g = Graph()
    y = g.bn(g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 6), 6), 6)
    return g.model(y), "Conv"


@folded
def caffe_scale():
    g = Graph(opset=9)
    y = g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 6), 6)
    y = g.node("Mul", y, g.node("Unsqueeze", g.normal(6), axes=[1, 2]))
    y = g.node("Add", y, g.node("Unsqueeze", g.normal(6), axes=[1, 2]))
    return g.model(y), "Conv"


@folded
def around_a_conv():
    g = Graph()
    y = g.bn(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6), 6)
    return g.model(y), "Conv"


# Where the statistics come from


@folded
def statistics_of_constant_nodes():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    names = [
        g.node("Constant", value=numpy_helper.from_array(g.weights.pop(name))) for name in g.statistics(6)
    ]
    return g.model(g.node(BN, y, *names)), "Conv"


@folded
def statistics_computed_from_constants():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    scale, bias, mean, var = g.statistics(6)
    ones = g.node(
        "ConstantOfShape",
        g.weight([6], np.int64),
        value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
    )
    deviation = g.node("Sqrt", var)
    squared = g.node("Mul", g.node("Identity", deviation), deviation)
    return g.model(g.node(BN, y, g.node("Mul", scale, ones), bias, mean, squared)), "Conv"


@folded
def parameters_listed_as_inputs_of_ir_version_3():
    g = Graph(opset=7, ir_version=3)
    y = g.bn(g.conv(g.input("x", 2, 3, 8, 8), 3, 6), 6)
    return g.model(y, weights_as_inputs=True), "Conv"


@folded
def weight_shared_by_two_layers():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    w = g.normal(6, 3, 3, 3)
    return g.model(g.bn(g.node("Conv", x, w), 6), g.node("Conv", x, w, strides=[2, 2])), "Conv Conv"


@folded
def weight_that_is_an_output():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    w = g.normal(6, 3, 3, 3)
    return g.model(g.bn(g.node("Conv", x, w), 6), w), "Conv"


@folded
def statistics_shared_by_two_batchnorms():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    shared = g.statistics(6)
    a, b = (g.node(BN, g.conv(x, 3, 6), *shared) for _ in range(2))
    return g.model(a, b), "Conv Conv"


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name):
    model, left = FOLDED[name]()
    result = optimized(model)
    assert sorted(operators(result.model).elements()) == sorted(left.split())
    assert {record.status for record in result.report.batchnorm} == {"folded"}
    targets = {node.name for node in result.model.graph.node}
    for record in result.report.batchnorm:
        assert record.into
        assert set(record.into.split(", ")) <= targets
    inputs = random_inputs(model)
    for before, after in zip(
        run_in_onnxruntime(model, inputs), run_in_onnxruntime(result.model, inputs), strict=True
    ):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


# What stays, and why


def behind_conv(make: Callable[[Graph, str], str]):
    g = Graph()
    return (g.model(make(g, g.conv(g.input("x", "N", 3, 8, 8), 3, 6))),)


@kept(r"training_mode = 1")
def training():
    return behind_conv(lambda g, y: g.bn(y, 6, training_mode=1, outputs=3))


@kept(r"'conv_1_out' is used elsewhere too: by .*Relu 'relu_2'")
def input_used_elsewhere():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    return (g.model(g.node("Relu", y), g.bn(y, 6)),)


@kept(r"'conv_1_out' is an output of the graph")
def input_is_an_output():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    return (g.model(y, g.bn(y, 6)),)


@kept(r"its input 'x' is an input of the graph; its result .* is an output of the graph")
def alone():
    g = Graph()
    return (g.model(g.bn(g.input("x", "N", 3, 8, 8), 3)),)


def with_variance(value: float, epsilon: float = 1e-5):
    def make(g: Graph, y: str) -> str:
        scale, bias, mean, var = g.statistics(6)
        g.weights[var][2] = value
        return g.node(BN, y, scale, bias, mean, var, epsilon=epsilon)

    return behind_conv(make)


@kept(r"variance \+ epsilon is -0\.49\d* in channel 2, not above 0 and finite")
def negative_variance():
    return with_variance(-0.5)


@kept(r"variance \+ epsilon is 0 in channel 2, not above 0 and finite")
def zero_variance_and_epsilon():
    return with_variance(0, epsilon=0.0)


@kept(r"variance \+ epsilon is inf in channel 2, not above 0 and finite")
def infinite_variance():
    return with_variance(np.inf)


@kept(r"channel 2, not finite")
def scale_that_is_nan():
    def make(g: Graph, y: str) -> str:
        names = g.statistics(6)
        g.weights[names[0]][2] = np.nan
        return g.node(BN, y, *names)

    return behind_conv(make)


@kept(r"its mean 'm' is an input")
def statistics_that_are_an_input():
    def make(g: Graph, y: str) -> str:
        scale, bias, _, var = g.statistics(6)
        return g.node(BN, y, scale, bias, g.input("m", 6), var)

    return behind_conv(make)


@kept(r"its scale .* is computed by Mul 'mul_")
def statistics_that_are_computed():
    def make(g: Graph, y: str) -> str:
        scale, *others = g.statistics(6)
        return g.node(BN, y, g.node("Mul", scale, g.input("m", 6)), *others)

    return behind_conv(make)


@kept(r"its scale .* may be overridden by the caller")
def initializers_that_a_caller_may_override():
    g = Graph()
    y = g.bn(g.conv(g.input("x", 2, 3, 8, 8), 3, 6), 6)
    return (g.model(y, weights_as_inputs=True),)


@kept(r"the weight 'w' of Conv 'conv_1' is an input")
def weight_that_is_an_input():
    g = Graph()
    y = g.node("Conv", g.input("x", "N", 3, 8, 8), g.input("w", 6, 3, 3, 3))
    return (g.model(g.bn(y, 6)),)


@kept(r"the weight .* of Conv 'conv_2' is quantized")
def quantized_weight():
    g = Graph()
    w = g.weight(g.random.integers(-100, 100, (6, 3, 3, 3)), np.int8)
    w = g.node("DequantizeLinear", w, g.weight(0.01), g.weight(0, np.int8))
    return (g.model(g.bn(g.node("Conv", g.input("x", "N", 3, 8, 8), w), 6)),)


@kept(r"the padding \[1, 1, 1, 1\] of Conv 'conv_2' meets the shift")
def padding_meets_shift():
    g = Graph()
    return (g.model(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6, pads=[1] * 4)),)


@kept(r"the padding SAME_UPPER of Conv 'conv_2' meets the shift")
def automatic_padding_meets_shift():
    g = Graph()
    return (g.model(g.conv(g.bn(g.input("x", "N", 3, 8, 8), 3), 3, 6, auto_pad="SAME_UPPER")),)


@kept(r"AveragePool 'averagepool_2' counts its padding")
def average_pool_that_counts_padding():
    def make(g: Graph, y: str) -> str:
        y = g.node("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
        return g.bn(y, 6)

    return behind_conv(make)


@kept(r"MaxPool 'maxpool_2' meets the scale -0.999995, not above 0")
def max_pool_with_a_negative_scale():
    def make(g: Graph, y: str) -> str:
        y = g.node("MaxPool", y, kernel_shape=[2, 2])
        zeros, ones = g.weight(np.zeros(6)), g.weight(np.ones(6))
        return g.node(BN, y, g.weight([1, 1, -1, 1, 1, 1]), zeros, zeros, ones)

    return behind_conv(make)


@kept(r"a branch of Concat 'concat_3' cannot take it up: Relu 'relu_2' before it cannot take it up")
def concat_with_one_branch_that_cannot():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 6), g.node("Relu", x), axis=1)
    g.nodes[1].input[0] = g.node("Slice", x, *[g.weight(item, np.int64) for item in ([0, 0], [6, 6], [2, 3])])
    g.nodes.insert(0, g.nodes.pop())
    return (g.model(g.bn(y, 9)),)


@kept(r"Concat 'concat_3' joins along axis 2, not along the channels")
def concat_along_another_axis():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    y = g.node("Concat", g.conv(x, 3, 6), g.conv(x, 3, 6), axis=2)
    return (g.model(g.bn(y, 6)),)


@kept(r"turns \[N, 6, 6, 6\] into \[N, 216\]: it does not keep the channels")
def flatten_that_mixes_channels():
    return behind_conv(lambda g, y: g.bn(g.node("Flatten", y), 216))


@kept(r"multiplies tensors of rank 3 and 2: its channels are not on axis 1")
def matmul_of_rank_3():
    g = Graph()
    y = g.node("MatMul", g.input("x", "N", 4, 5), g.normal(5, 6))
    return (g.model(g.bn(y, 4)),)


@kept(r"has transA = 1: it sums over the batch")
def gemm_that_sums_over_the_batch():
    g = Graph()
    y = g.node("Gemm", g.bn(g.input("x", 3, 4), 4), g.normal(3, 6), transA=1)
    return (g.model(y),)


@kept(r"Relu 'relu_2' before it cannot take it up; its result .* is an output of the graph")
def behind_relu():
    return behind_conv(lambda g, y: g.bn(g.node("Relu", y), 6))


@kept(r"reads it as input 1")
def read_as_a_weight():
    g = Graph()
    y = g.bn(g.input("x", 3, 4), 4)
    return (g.model(g.node("MatMul", g.input("z", 2, 3), y)),)


@kept(r"com.example.Custom 'custom_2' is not a standard operator")
def behind_a_custom_operator():
    g = Graph()
    g.functions.append(
        helper.make_function(
            "com.example", "Custom", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
            [helper.make_opsetid("", 17)],
        )
    )  # fmt: skip
    y = g.node("Custom", g.conv(g.input("x", "N", 3, 8, 8), 3, 6), domain="com.example")
    return (g.model(g.bn(y, 6)),)


@pytest.mark.parametrize("name", KEPT)
def test_kept(name):
    case, reason = KEPT[name]
    (model,) = case()
    result = optimized(model)
    assert operators(result.model)[BN] == operators(model)[BN]
    (record,) = result.report.batchnorm
    assert record.status == "kept"
    assert re.search(reason, record.reason), record.reason


def test_there_are_more_than_forty_graphs():
    assert len(FOLDED) + len(KEPT) > 40
