"""What counts as an affine map per channel, with which numbers, and what several of them make."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import normdeploy as nd
from normdeploy.graph.io import load
from normdeploy.passes.batchnorm.affine import Affine, AffineNode, compose, read_arithmetic, read_batchnorm
from normdeploy.passes.constants import Constants
from tests.builders import BN, Graph
from tests.equivalence import operators, optimized
from tests.passes.batchnorm.folding import assert_folded, assert_kept, behind_conv, conv_bn


def test_through_constants():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    y = g.node("Add", y, g.normal(6, 1, 1))
    y = g.node("Mul", g.normal(1, 6, 1, 1), y)
    y = g.node("Sub", y, g.weight(0.5))
    y = g.node("Div", y, g.weight(np.full((1, 6, 1, 1), 3.0)))
    y = g.node("Sub", g.normal(6, 1, 1), y)
    assert_folded(g.model(g.bn(y, 6)), "Conv")


def test_caffe_scale():
    g = Graph(opset=9)
    y = g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 6), 6)
    y = g.node("Mul", y, g.node("Unsqueeze", g.normal(6), axes=[1, 2]))
    y = g.node("Add", y, g.node("Unsqueeze", g.normal(6), axes=[1, 2]))
    assert_folded(g.model(y), "Conv")


def test_batchnorms_in_a_row():
    g = Graph()
    y = g.bn(g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 6), 6), 6)
    assert_folded(g.model(y), "Conv")


@pytest.mark.parametrize("shape", [(8, 1), (1, 8), (8, 8), (2, 1, 1, 1)])
def test_constants_that_do_not_vary_along_the_channels_alone_stay(shape):
    g = Graph()
    y = g.conv(g.input("x", 2, 3, 10, 10), 3, 6)
    result = optimized(g.model(g.node("Mul", y, g.normal(*shape))))
    assert operators(result.model) == {"Conv": 1, "Mul": 1}


def test_statistics_of_constant_nodes():
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, 6)
    names = [
        g.node("Constant", value=numpy_helper.from_array(g.weights.pop(name))) for name in g.statistics(6)
    ]
    assert_folded(g.model(g.node(BN, y, *names)), "Conv")


def test_statistics_computed_from_constants():
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
    assert_folded(g.model(g.node(BN, y, g.node("Mul", scale, ones), bias, mean, squared)), "Conv")


def test_statistics_shared_by_two_batchnorms():
    g = Graph()
    x = g.input("x", "N", 3, 8, 8)
    shared = g.statistics(6)
    a, b = (g.node(BN, g.conv(x, 3, 6), *shared) for _ in range(2))
    assert_folded(g.model(a, b), "Conv Conv")


def test_parameters_listed_as_inputs_of_ir_version_3():
    g = Graph(opset=7, ir_version=3)
    y = g.bn(g.conv(g.input("x", 2, 3, 8, 8), 3, 6), 6)
    assert_folded(g.model(y, weights_as_inputs=True), "Conv")


def test_statistics_that_are_an_input():
    def make(g: Graph, y: str) -> str:
        scale, bias, _, var = g.statistics(6)
        return g.node(BN, y, scale, bias, g.input("m", 6), var)

    assert_kept(behind_conv(make), r"its mean 'm' is an input")


def test_statistics_that_are_computed():
    def make(g: Graph, y: str) -> str:
        scale, *others = g.statistics(6)
        return g.node(BN, y, g.node("Mul", scale, g.input("m", 6)), *others)

    assert_kept(behind_conv(make), r"its scale .* is computed by Mul 'mul_")


def test_initializers_that_a_caller_may_override():
    g = Graph()
    y = g.bn(g.conv(g.input("x", 2, 3, 8, 8), 3, 6), 6)
    assert_kept(g.model(y, weights_as_inputs=True), r"its scale .* may be overridden by the caller")


def test_training():
    assert_kept(behind_conv(lambda g, y: g.bn(y, 6, training_mode=1, outputs=3)), r"training_mode = 1")


def with_variance(value: float, epsilon: float = 1e-5):
    def make(g: Graph, y: str) -> str:
        scale, bias, mean, var = g.statistics(6)
        g.weights[var][2] = value
        return g.node(BN, y, scale, bias, mean, var, epsilon=epsilon)

    return behind_conv(make)


def test_negative_variance():
    assert_kept(with_variance(-0.5), r"variance \+ epsilon is -0\.49\d* in channel 2, not above 0 and finite")


def test_zero_variance_and_epsilon():
    assert_kept(
        with_variance(0, epsilon=0.0), r"variance \+ epsilon is 0 in channel 2, not above 0 and finite"
    )


def test_infinite_variance():
    assert_kept(with_variance(np.inf), r"variance \+ epsilon is inf in channel 2, not above 0 and finite")


def test_scale_that_is_nan():
    def make(g: Graph, y: str) -> str:
        names = g.statistics(6)
        g.weights[names[0]][2] = np.nan
        return g.node(BN, y, *names)

    assert_kept(behind_conv(make), r"channel 2, not finite")


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 14, 15, 22])
def test_versions_of_the_operator(opset):
    assert operators(optimized(conv_bn(np.float32, opset=opset)).model) == {"Conv": 1}


def test_version_6_tests_only_if_it_says_so():
    result = nd.optimize(conv_bn(np.float32, opset=6, is_test=1), verify=False)
    assert operators(result.model) == {"Conv": 1}
    result = nd.optimize(conv_bn(np.float32, opset=6), verify=False)
    assert result.report.batchnorm[0].reason.startswith("is_test = 0")


def test_version_7_with_statistics_per_activation_stays():
    g = Graph(opset=7)
    y = g.conv(g.input("x", 2, 3, 8, 8), 3, 6)
    y = g.node(BN, y, *[g.normal(6, 6, 6) for _ in range(3)], g.weight(np.ones((6, 6, 6))), spatial=0)
    result = nd.optimize(g.model(y), verify=False)
    assert result.report.batchnorm[0].reason == "spatial = 0: its statistics are per activation"


# The maps themselves


def test_what_is_known_of_a_map():
    affine = Affine(*(np.array(item) for item in ([2.0, -1.0], [1.0, 3.0], [4.0, 0.0], [0.5, 2.0])))
    assert affine.channels == 2
    np.testing.assert_allclose(affine.product_magnitude, [2 * 4.5, 2])
    second_moments = [(2 * 4 + 1) ** 2 + (2 * 0.5) ** 2, 3**2 + 2**2]
    assert affine.output_magnitude == pytest.approx(np.sqrt(np.mean(second_moments)))


def test_the_magnitude_of_the_output_is_the_one_measured():
    rng = np.random.default_rng(0)
    affine = Affine(*(rng.uniform(0.5, 2, 3) for _ in range(4)))
    x = rng.standard_normal((100_000, 3)) * affine.deviation + affine.mean
    measured = np.sqrt(np.mean(np.square(affine.scale * x + affine.shift)))
    assert affine.output_magnitude == pytest.approx(measured, rel=0.01)


def test_parts_and_repeats_of_a_map():
    affine = Affine(*(np.arange(4.0) + 10 * item for item in range(4)))
    part, repeated = affine.part(1, 3), affine.repeat(2)
    for whole, some, twice in zip(arrays(affine), arrays(part), arrays(repeated), strict=True):
        np.testing.assert_array_equal(some, whole[1:3])
        np.testing.assert_array_equal(twice, [item for item in whole for _ in range(2)])
    assert not affine.only_scale().shift.any()
    np.testing.assert_array_equal(affine.only_scale().scale, affine.scale)


def arrays(affine: Affine) -> tuple[np.ndarray, ...]:
    return affine.scale, affine.shift, affine.mean, affine.deviation


numbers = st.floats(-8, 8).map(lambda value: value if abs(value) > 0.1 else 1.0)
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)


@st.composite
def members(draw) -> AffineNode:
    """A node's map of three channels: plain, or one that normalizes and knows what it reads."""
    scale, shift, mean, deviation = (draw(vectors) for _ in range(4))
    node = ir.node("Mul", [])
    if draw(st.booleans()):
        return AffineNode(node, 0, Affine(scale, shift, mean, np.abs(deviation)), normalizes=True)
    return AffineNode(node, 0, Affine.plain(scale, shift))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(members(), min_size=1, max_size=5), vectors)
def test_a_chain_is_its_maps_one_after_the_other(chain, x):
    composed = compose(chain)
    y = x
    for index, member in enumerate(chain):
        if member.normalizes and not any(earlier.normalizes for earlier in chain[:index]):
            # what the composed map says of x is what this node says of what it reads
            low, high = (before(chain[:index], composed.mean + sign * composed.deviation) for sign in (-1, 1))
            np.testing.assert_allclose((low + high) / 2, member.affine.mean, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(np.abs(high - low) / 2, member.affine.deviation, rtol=1e-9)
        y = member.affine.scale * y + member.affine.shift
    magnitude = np.prod([np.abs(member.affine.scale).max() + 1 for member in chain]) * 100
    np.testing.assert_allclose(composed.scale * x + composed.shift, y, rtol=1e-12, atol=1e-12 * magnitude)


def before(chain: list[AffineNode], x: np.ndarray) -> np.ndarray:
    for member in chain:
        x = member.affine.scale * x + member.affine.shift
    return x


def test_nothing_is_known_of_what_a_chain_without_batchnorm_reads():
    composed = compose([AffineNode(ir.node("Mul", []), 0, Affine.plain(np.array([2.0]), np.array([1.0])))])
    assert (composed.mean, composed.deviation) == (0, 1)


@pytest.mark.parametrize("op_type", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("constant_first", [False, True])
def test_arithmetic_with_a_constant_is_read_as_it_computes(op_type, constant_first):
    g = Graph(np.float64)
    operands = [g.input("x", 2, 3, 4), g.normal(3, 1)]
    model = g.model(g.node(op_type, *(reversed(operands) if constant_first else operands)))
    loaded = load(model)
    read = read_arithmetic(loaded.graph[0], Constants(loaded), 17)
    if op_type == "Div" and constant_first:
        assert read is None
        return
    assert read is not None
    assert (read.source.name, read.normalizes) == ("x", False)
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    (y,) = nd.evaluate(model, {"x": x}).values()
    scale, shift = (item.reshape(3, 1) for item in (read.affine.scale, read.affine.shift))
    np.testing.assert_allclose(scale * x + shift, y, rtol=1e-14)


@pytest.mark.parametrize(
    "make",
    [
        lambda g, x: g.node("Div", x, g.weight([1, 0, 2], name="zero")),
        lambda g, x: g.node("Mul", x, g.input("z", 3)),
        lambda g, x: g.node("Mul", x, g.weight([np.inf, 1, 1])),
        lambda g, x: g.node("Pow", x, g.normal(3)),
        lambda g, x: g.node("Mul", x, g.normal(2, 1, 1)),
    ],
    ids=["division by 0", "no constant", "infinite", "another operator", "larger than x"],
)
def test_what_is_no_affine_map(make):
    g = Graph()
    loaded = load(g.model(make(g, g.input("x", 2, 3))))
    assert read_arithmetic(loaded.graph[0], Constants(loaded), 17) is None


def test_a_batchnorm_is_read_as_it_computes():
    g = Graph(np.float64)
    model = g.model(g.bn(g.input("x", 2, 3, 4), 3, epsilon=0.01))
    loaded = load(model)
    read = read_batchnorm(loaded.graph[0], Constants(loaded), 17)
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    (y,) = nd.evaluate(model, {"x": x}).values()
    scale, shift = (item.reshape(3, 1) for item in (read.affine.scale, read.affine.shift))
    np.testing.assert_allclose(scale * x + shift, y, rtol=1e-6)
    assert read.normalizes
    _, _, mean, variance = g.weights.values()
    np.testing.assert_array_equal(read.affine.mean, mean)
    np.testing.assert_allclose(read.affine.deviation, np.sqrt(variance + np.float32(0.01)))
