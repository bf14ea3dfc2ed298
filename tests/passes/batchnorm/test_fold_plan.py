"""What a fold may change, and what rounding to the weights' type may cost."""

import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.passes.batchnorm.affine import Affine
from normdeploy.passes.batchnorm.fold_plan import ROUNDOFFS, narrowed, scaled_weight
from normdeploy.passes.report import Refused
from normdeploy.reference import Evaluator
from normdeploy.validation.noise import RoundingNoise, factor
from tests.builders import Graph
from tests.equivalence import operators, optimized
from tests.passes.batchnorm.folding import assert_kept, conv_bn


def test_weight_that_is_an_input():
    g = Graph()
    y = g.node("Conv", g.input("x", "N", 3, 8, 8), g.input("w", 6, 3, 3, 3))
    assert_kept(g.model(g.bn(y, 6)), r"the weight 'w' of Conv 'conv_1' is an input")


def test_quantized_weight():
    g = Graph()
    w = g.weight(g.random.integers(-100, 100, (6, 3, 3, 3)), np.int8)
    w = g.node("DequantizeLinear", w, g.weight(0.01), g.weight(0, np.int8))
    assert_kept(
        g.model(g.bn(g.node("Conv", g.input("x", "N", 3, 8, 8), w), 6)),
        r"the weight .* of Conv 'conv_2' is quantized",
    )


@pytest.mark.parametrize(
    ("dtype", "stat_dtype"),
    [
        (np.float64, None),
        (np.float16, None),
        (np.float16, np.float32),
        (ml_dtypes.bfloat16, np.float32),
        (ml_dtypes.bfloat16, None),
        (np.float32, np.float64),
    ],
)
def test_other_types(dtype, stat_dtype):
    model = conv_bn(dtype, stat_dtype, opset=22)
    result = optimized(model)
    assert operators(result.model) == {"Conv": 1}
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    assert {tensor.data_type for tensor in result.model.graph.initializer} == {element}


def test_half_precision_that_would_overflow_stays():
    def edit(weights, names):
        weights[names[0]][1] = 60000
        weights[names[3]][1] = 1e-4

    model = conv_bn(np.float16, np.float32, edit=edit)
    record = optimized(model).report.batchnorm[0]
    assert re.search(r"would reach \d\.\d+e\+06, too large for float16", record.reason)


def test_a_mean_far_above_the_deviation_stays_in_half_precision():
    def edit(weights, names):
        weights[names[1]][:] = 0
        weights[names[2]][:] = 100
        weights[names[3]][:] = 1

    reason = optimized(conv_bn(np.float16, edit=edit)).report.batchnorm[0].reason
    assert re.search("rounding the folded weights of Conv 'conv_1' to float16 would move channel", reason)
    assert operators(optimized(conv_bn(np.float32, edit=edit)).model) == {"Conv": 1}


def test_weights_that_would_vanish_stay():
    def edit(weights, names):
        weights[names[0]][:] = 1e-6
        weights[names[1]][:] = 0
        weights[names[2]][:] = 0

    reason = optimized(conv_bn(np.float16, np.float32, edit=edit)).report.batchnorm[0].reason
    assert "rounding the folded weights" in reason


def test_a_channel_that_is_switched_off_folds():
    def edit(weights, names):
        weights[names[0]][1:3] = 0

    assert operators(optimized(conv_bn(np.float16, edit=edit)).model) == {"Conv": 1}


# The limit of what rounding may cost


CHANNELS = 256
DTYPES = [np.dtype(name) for name in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]


def normalizing(ratio: np.ndarray) -> Affine:
    """The map of a BatchNormalization to mean 0 and deviation 1, where the mean is `ratio` deviations."""
    deviation = 2.0 ** np.random.default_rng(1).uniform(-1, 1, ratio.size)
    return Affine(1 / deviation, -ratio, ratio * deviation, deviation)


def layer(dtype: np.dtype) -> np.ndarray:
    """Weights (M, C, 3, 3) of 64 input channels, whose sums have the magnitude of what they read."""
    weight = np.random.default_rng(0).standard_normal((CHANNELS, 64, 3, 3)) / np.sqrt(576)
    return weight.astype(dtype)


def folded_weight(weight: np.ndarray, affine: Affine) -> np.ndarray:
    return scaled_weight(
        ir.node("Conv", [], name="conv"), weight, affine.scale.reshape(-1, 1, 1, 1), (0,), affine
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_limit_is_where_it_says(dtype):
    """The output's magnitude is 1, and that of the products the mean and a deviation."""
    below, above = (np.full(CHANNELS, part * ROUNDOFFS[dtype.name] - 1) for part in (0.95, 1.05))
    assert folded_weight(layer(dtype), normalizing(below)).dtype == dtype
    with pytest.raises(
        Refused, match=f"rounding the folded weights of Conv 'conv' to {dtype} would move channel"
    ):
        folded_weight(layer(dtype), normalizing(above))


def movement(weight: np.ndarray, affine: Affine) -> float:
    """How far rounding the folded weights and biases moves the outputs, in the root mean square.

    The inputs are random around a mean that gives each channel's sums its mean: the weights are positive.
    """
    weight = np.abs(weight)
    rounded = folded_weight(weight, affine).reshape(CHANNELS, -1)
    bias = narrowed(ir.node("Conv", []), affine.shift, weight.dtype)
    noise = np.random.default_rng(2).standard_normal((576, 20))
    moved = []
    for channel, original in enumerate(weight.reshape(CHANNELS, -1).astype(np.float64)):
        scale, mean = affine.scale[channel], affine.mean[channel]
        inputs = mean / original.sum() + noise
        moved.append(products_error(rounded[channel], original, scale) @ inputs)
        moved[-1] += float(Fraction(float(bias[channel])) + Fraction(scale) * Fraction(mean))
    return float(np.sqrt(np.mean(np.square(moved))))


def products_error(rounded: np.ndarray, weight: np.ndarray, scale: float) -> np.ndarray:
    """rounded - weight · scale, in fractions where no float holds the products."""
    if rounded.dtype != np.float64:
        return rounded.astype(np.float64) - weight * scale
    exact = Fraction(scale)
    return np.array([float(Fraction(r) - Fraction(w) * exact) for r, w in zip(rounded, weight, strict=True)])


def allowed(dtype: np.dtype) -> float:
    """How far `check` lets a runtime be off that computes the layer, of whose outputs there are a million."""
    g = Graph(dtype, opset=22)
    model = load(g.model(g.node("Conv", g.input("x", 1, 64, 10, 10), g.weight(layer(dtype)))))
    infer(model)
    x = np.random.default_rng(3).standard_normal((1, 64, 10, 10)).astype(dtype)
    (output,) = model.graph.outputs
    noise = RoundingNoise(Evaluator(model), {"x": x}, 0)
    return factor(10**6) * float(np.sqrt(np.mean(np.square(noise.expected(str(output.name))))))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_folds_is_moved_by_no_more_than_check_allows_a_runtime(dtype):
    """And near the limit by about half of it. There are means all over the octave below the limit, since the
    error of a rounded number depends on where in its octave it lies."""
    ratio = 0.97 * ROUNDOFFS[dtype.name] * 2.0 ** -np.random.default_rng(4).uniform(0, 1, CHANNELS) - 1
    share = movement(layer(dtype), normalizing(ratio)) / allowed(dtype)
    assert 0.4 < share < 1
