"""Rounding to a type is that of hardware and of NumPy, bit for bit."""

import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.kernels.number_types import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, TF32, as_stored, storage

RNG = np.random.default_rng(0)
NUMBERS = np.concatenate([
    RNG.standard_normal(2000) * 10.0 ** RNG.uniform(-9, 6, 2000),
    [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.9, 65520, -65520, 2**-24, 2**-25, 3 * 2**-25],
    [1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 2**-9],
])  # fmt: skip


@pytest.mark.parametrize("kind", [FLOAT16, BFLOAT16, FLOAT32])
@pytest.mark.parametrize("wide", [np.float64, np.float32])
def test_numbers_are_rounded_as_by_a_conversion(kind, wide):
    x = NUMBERS.astype(wide)
    with np.errstate(all="ignore"):
        right = x.astype(kind.dtype).astype(wide)
    assert np.array_equal(kind.rounded(x), right, equal_nan=True)


def test_what_the_type_holds_stays():
    x = NUMBERS.astype(np.float64)
    assert FLOAT64.rounded(x) is x


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (1 + 2.0**-11, 1.0),  # a tie, to even
        (1 + 3 * 2.0**-11, 1 + 2.0**-9),
        (1 + 2.0**-11 + 2.0**-20, 1 + 2.0**-10),
        (-(2.0**126) * (1 + 2.0**-11 + 2.0**-20), -(2.0**126) * (1 + 2.0**-10)),
        (np.inf, np.inf),
        (0.0, 0.0),
    ],
)
def test_tf32_has_eleven_bits_and_the_range_of_float32(number, rounded):
    for x in (np.array([number]), np.array([number], np.float32)):
        assert TF32.rounded(x) == rounded
    assert np.isnan(TF32.rounded(np.array([np.nan]))[0])


def test_tf32_is_float16_where_that_has_the_range():
    x = RNG.standard_normal(1000).astype(np.float32)
    assert np.array_equal(TF32.rounded(x), x.astype(np.float16).astype(np.float32))


def test_subnormal_numbers_become_zero_and_keep_their_sign():
    x = np.array([2**-15, -(2.0**-15), 2**-14, -(2.0**-14), 0.0])
    flushed = FLOAT16.flushed(x)
    assert flushed.tolist() == [0.0, 0.0, 2**-14, -(2.0**-14), 0.0]
    assert np.signbit(flushed).tolist() == [False, True, False, True, False]
    assert FLOAT32.flushed(x) is x


def test_a_tensor_is_stored_in_its_type():
    half = ir.Value(name="h", type=ir.TensorType(ir.DataType.FLOAT16))
    assert storage(half) is FLOAT16
    assert storage(ir.Value(name="unknown")) is FLOAT32
    assert as_stored(np.array([1.0001]), half).tolist() == [1.0]
    integers = np.array([7])
    assert as_stored(integers, half) is integers
