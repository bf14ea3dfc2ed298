"""Sums of products with short accumulators, against the same in NumPy's float16 and against float64."""

import numpy as np
import pytest
import torch

from normdeploy.kernels.accumulators import BACKWARDS, HALF, Accumulator
from normdeploy.kernels.number_types import FLOAT16, FLOAT64
from normdeploy.reference.convolution import conv

RNG = np.random.default_rng(1)
WIDE = Accumulator(FLOAT64, 16)

CONVOLUTIONS = [
    ((2, 6, 7, 9), (8, 6, 3, 3), {"pads": [1] * 4}),
    ((2, 6, 9, 9), (8, 3, 3, 3), {"group": 2, "strides": [2, 1], "dilations": [1, 2]}),
    ((1, 5, 11), (4, 5, 3), {}),
    ((1, 4, 8, 8), (2, 4, 5, 5), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ((1, 2, 4, 5, 6), (3, 2, 2, 2, 2), {"pads": [0, 1, 0, 1, 0, 1]}),
]


def halves(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float16).astype(np.float64)


def blockwise(a, b, block=16):
    """The same in NumPy's own float16: a block of exact products, added to a float16."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float16)
    for start in range(0, a.shape[1], block):
        terms = slice(start, start + block)
        products = a[:, terms].astype(np.float32) @ b[terms].astype(np.float32)
        total = (total.astype(np.float32) + products).astype(np.float16)
    return total.astype(np.float64)


def test_a_block_rounds_the_running_sum_once():
    a, b = halves(5, 70), halves(70, 6)
    assert np.array_equal(HALF.matmul(a, b), blockwise(a, b))


def test_the_sum_leaves_float16():
    a, b = np.full((1, 64), 200.0), np.full((64, 1), 200.0)
    assert np.isinf(HALF.matmul(a, b)).all()
    assert np.array_equal(BACKWARDS.matmul(a, b), a @ b)


def test_a_long_sum_of_small_terms_stops():
    ones = np.ones((1, 64 * 1024))
    assert HALF.matmul(ones, ones.T).item() == 32768  # 16 is half a step there, and ties go to even
    assert BACKWARDS.matmul(ones, ones.T).item() == 65536


def test_half_accumulators_err_more_than_torchs_which_are_float32():
    a, b = halves(20, 2048), halves(2048, 20)
    exact = a @ b
    with torch.no_grad():
        kernel = torch.from_numpy(a).half() @ torch.from_numpy(b).half()
    from_torch = np.abs(kernel.double().numpy() - exact).max()
    ours = np.abs(HALF.matmul(a, b) - exact).max()
    assert from_torch < 2 * np.abs(FLOAT16.rounded(exact) - exact).max() < ours


@pytest.mark.parametrize(("x", "w", "keywords"), CONVOLUTIONS)
def test_a_convolution_is_the_reference_with_good_accumulators(x, w, keywords):
    x, w, bias = halves(*x), halves(*w), halves(w[0])
    assert WIDE.conv(x, w, bias, **keywords) == pytest.approx(conv(x, w, bias, **keywords), abs=1e-4)
    assert BACKWARDS.conv(x, w, bias, **keywords) == pytest.approx(conv(x, w, bias, **keywords), abs=1e-4)


def test_a_convolution_adds_place_by_place():
    x, w = halves(1, 5, 3, 3), halves(2, 5, 3, 3)
    # a kernel as large as the image: one product of its places, each with its channels
    by_place = x[0].transpose(1, 2, 0).reshape(1, -1), w.transpose(2, 3, 1, 0).reshape(-1, 2)
    assert np.array_equal(HALF.conv(x, w).reshape(1, 2), blockwise(*by_place))


def test_gemm_rounds_each_step():
    a, b, c = halves(3, 20), halves(4, 20), halves(4)
    product = blockwise(a, b.T)
    scaled = (product * 0.5).astype(np.float16).astype(np.float64)
    right = (scaled + c * 2).astype(np.float16).astype(np.float64)
    assert np.array_equal(HALF.gemm(a, b, c, alpha=0.5, beta=2.0, transB=1), right)
    assert np.array_equal(HALF.gemm(a.T, b, transA=1, transB=1), product)


def test_vectors_and_batches_multiply_as_in_numpy():
    a, b = halves(2, 3, 4, 20), halves(20)
    assert WIDE.matmul(a, b) == pytest.approx(a @ b, abs=1e-4)
    assert WIDE.matmul(b, b) == pytest.approx(b @ b, abs=1e-4)


def test_the_last_terms_come_first():
    large, one = [2.0**24, *[0.0] * 31], [1.0, *[0.0] * 31]
    b = np.ones((96, 1))
    assert BACKWARDS.matmul(np.array([[*large, *one, *one]]), b).item() == 2**24 + 2
    assert BACKWARDS.matmul(np.array([[*one, *one, *large]]), b).item() == 2**24
