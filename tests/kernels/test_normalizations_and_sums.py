"""Normalizations, softmax and sums in float16, against torch's float16 operators, which round each result."""

import numpy as np
import pytest
import torch

from normdeploy.kernels import normalizations, sums
from normdeploy.kernels.number_types import BFLOAT16, FLOAT16, FLOAT32
from normdeploy.lrn import LRN, lrn
from normdeploy.reference.pooling import average_pool

RNG = np.random.default_rng(2)


def halves(*shape, scale=1.0, mean=0.0):
    return torch.from_numpy(RNG.standard_normal(shape) * scale + mean).half()


def wide(tensor):
    return tensor.double().numpy()


@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0, 300.0])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn_is_what_float16_operators_make_of_its_formula(scale, size):
    x = halves(2, 8, 3, 3, scale=scale)
    squares = x * x
    reach = (size - 1) // 2
    padded = torch.nn.functional.pad(squares, (0, 0, 0, 0, reach, reach))
    total = torch.zeros_like(x)
    for offset in range(size):
        total = total + padded[:, offset : offset + 8]
    right = x / (total * (1e-4 / size) + 1.0).pow(0.75)
    spec = LRN(size, 1e-4, 0.75, 1.0, "across", "onnx")
    assert np.array_equal(normalizations.lrn(wide(x), spec, FLOAT16), wide(right))


def test_lrn_becomes_zero_where_a_square_overflows():
    x = np.full((1, 5, 1, 1), 300.0)
    spec = LRN(5, 1e-4, 0.75, 1.0, "across", "onnx")
    assert not normalizations.lrn(x, spec, FLOAT16).any()
    assert normalizations.lrn(x, spec, BFLOAT16) == pytest.approx(lrn(x, spec), rel=2**-5)


def test_even_windows_reach_further_after_an_element():
    x = RNG.standard_normal((1, 6, 2, 2))
    spec = LRN(4, 0.5, 0.75, 1.0, "across", "onnx")
    assert normalizations.lrn(x, spec, FLOAT32) == pytest.approx(lrn(x, spec), rel=1e-6)


def test_softmax_is_what_float16_operators_make_of_its_formula():
    x = halves(4, 50, scale=3)
    shifted = x - x.amax(1, keepdim=True)
    powers = torch.exp(shifted)
    total = torch.zeros(4).half()
    for column in range(50):
        total = total + powers[:, column]
    y = sums.softmax(wide(x), 1, FLOAT16, logarithm=False)
    assert np.array_equal(y, wide(powers / total[:, None]))
    y = sums.softmax(wide(x), 1, FLOAT16, logarithm=True)
    assert np.array_equal(y, wide(shifted - torch.log(total)[:, None]))


def test_batch_norm_is_a_float16_scale_and_shift():
    x = halves(4, 3, 2, 2, scale=2)
    scale, bias = RNG.uniform(0.5, 2, 3), RNG.standard_normal(3)
    mean, var = RNG.standard_normal(3), RNG.uniform(0.5, 2, 3)
    factor = scale / np.sqrt(var + 1e-5)
    a, b = torch.from_numpy(factor).half(), torch.from_numpy(bias - mean * factor).half()
    right = x * a.view(3, 1, 1) + b.view(3, 1, 1)
    y = normalizations.batch_norm(wide(x), scale, bias, mean, var, 1e-5, FLOAT16)
    assert np.array_equal(y, wide(right))


@pytest.mark.parametrize("centred", [True, False])
def test_layers_are_what_float16_operators_make_of_the_formula(centred):
    x = halves(3, 10)
    inputs = wide(x)
    if centred:
        x = x - _mean(x)
    right = x / torch.sqrt(_mean(x * x) + 1e-5)
    y = normalizations.standardized(inputs, [1], 1e-5, FLOAT16, centred=centred)
    assert np.array_equal(y, wide(right))


def _mean(x):
    total = torch.zeros(len(x)).half()
    for column in range(x.shape[1]):
        total = total + x[:, column]
    return (total / x.shape[1])[:, None]


def test_a_mean_overflows_before_it_is_divided():
    x = np.full((1, 1000), 100.0)
    with np.errstate(all="ignore"):
        assert np.isnan(normalizations.standardized(x, [1], 1e-5, FLOAT16)).all()  # −∞ / ∞
    assert not normalizations.standardized(x, [1], 1e-5, FLOAT32).any()


def test_mean_variance_normalization_is_its_function_body_in_float16():
    x = halves(3, 10, mean=1)
    mean, of_squares = _mean(x), _mean(x * x)
    right = (x - mean) / (torch.sqrt(of_squares - mean * mean) + 1e-9)
    assert np.array_equal(normalizations.mean_variance(wide(x), [1], FLOAT16), wide(right))


@pytest.mark.parametrize("p", [1, 2])
def test_a_norm_of_zero_gives_zero(p):
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    right = [[3 / 7, 4 / 7], [0, 0]] if p == 1 else [[0.6, 0.8], [0, 0]]
    assert normalizations.lp_norm(x, -1, p, FLOAT16) == pytest.approx(np.array(right), rel=2**-11)


def test_a_running_sum_is_numpys_in_order():
    x = wide(halves(300))
    assert sums.running_sum(x, 0, FLOAT16) == np.add.accumulate(x.astype(np.float16))[-1]
    assert (
        sums.running_sum(x, 0, FLOAT16, backwards=True) == np.add.accumulate(x[::-1].astype(np.float16))[-1]
    )
    assert sums.running_sum(np.ones(4096), 0, FLOAT16) == 2048


@pytest.mark.parametrize(
    ("op_type", "formula"),
    [
        ("ReduceSum", lambda x: x.sum(1)),
        ("ReduceMean", lambda x: x.mean(1)),
        ("ReduceSumSquare", lambda x: np.square(x).sum(1)),
        ("ReduceL1", lambda x: np.abs(x).sum(1)),
        ("ReduceL2", lambda x: np.sqrt(np.square(x).sum(1))),
    ],
)
def test_reductions_are_sums_of_their_terms(op_type, formula):
    x = wide(halves(3, 80, 2))
    y = sums.reduction(op_type, x, formula(x), [1], FLOAT16)
    assert y == pytest.approx(formula(x), rel=0.01, abs=0.05)
    assert np.array_equal(y, y.astype(np.float16))
    assert not np.array_equal(y, formula(x).astype(np.float16))


def test_axes_come_from_the_attribute_or_the_input():
    x = np.zeros((2, 3, 4, 5))
    assert sums.reduced_axes("GlobalAveragePool", [x], {}) == [2, 3]
    assert sums.reduced_axes("ReduceSum", [x], {"axes": [-1, 0]}) == [0, 3]
    assert sums.reduced_axes("ReduceSum", [x, np.array([-2])], {}) == [2]
    assert sums.reduced_axes("ReduceSum", [x], {}) == [0, 1, 2, 3]
    assert sums.reduced_axes("ReduceSum", [x], {"noop_with_empty_axes": 1}) is None


def test_a_pool_adds_its_windows_in_float16():
    x = wide(halves(1, 2, 6, 6, scale=100, mean=20000))
    keywords = {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [2, 1]}
    right = average_pool(x, **keywords)
    assert np.isinf(sums.average_pool(x, FLOAT16, **keywords)).any()
    assert sums.average_pool(x / 1000, FLOAT16, **keywords) == pytest.approx(right / 1000, rel=0.01)
    assert sums.average_pool(x, FLOAT32, **keywords) == pytest.approx(right, rel=1e-6)
