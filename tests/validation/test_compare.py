import math

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.errors import UsageError
from normdeploy.validation.compare import Comparison, compare
from normdeploy.validation.tolerance import Tolerance, default_tolerance, given_tolerance

FLOAT = default_tolerance([ir.DataType.FLOAT])
EXACT = Tolerance(0, 0, 0)
NAN, INF = math.nan, math.inf


def rounded(reference, dtype):
    return reference.astype(dtype)


@pytest.fixture
def reference():
    return np.random.default_rng(0).standard_normal(10000)


@pytest.mark.parametrize(
    ("dtype", "onnx_type"),
    [
        (np.float64, ir.DataType.DOUBLE),
        (np.float32, ir.DataType.FLOAT),
        (np.float16, ir.DataType.FLOAT16),
        (ml_dtypes.bfloat16, ir.DataType.BFLOAT16),
        (ml_dtypes.float8_e4m3fn, ir.DataType.FLOAT8E4M3FN),
    ],
)
def test_rounding_to_the_type_passes_with_room_to_spare(reference, dtype, onnx_type):
    found = compare(rounded(reference, dtype), reference, default_tolerance([onnx_type]))
    assert found.wrong == 0
    assert found.noise_ratio < 0.2


def test_one_wrong_element_in_a_million_is_found():
    reference = np.random.default_rng(0).standard_normal(10**6)
    actual = reference.astype(np.float32)
    actual[123456] += 1e-3
    assert compare(actual, reference, FLOAT).wrong == 1


def test_a_large_element_does_not_excuse_errors_elsewhere():
    reference = np.random.default_rng(0).standard_normal(10000)
    reference[0] = 1000.0
    actual = reference.astype(np.float32)
    actual[1:] *= np.float32(1.01)
    assert compare(actual, reference, FLOAT).wrong > 5000


def test_cancellation_near_zero_is_no_error(reference):
    reference[5] = 1e-12
    actual = reference.astype(np.float32)
    actual[5] = 1e-7
    assert compare(actual, reference, FLOAT).wrong == 0


def test_an_output_of_zeros_has_to_be_zero():
    assert compare(np.zeros(3, np.float32), np.zeros(3), FLOAT).wrong == 0
    assert compare(np.full(3, 1e-6, np.float32), np.zeros(3), FLOAT).wrong == 3


def test_infinite_squares_do_not_loosen_the_tolerance():
    reference = np.array([1e200, 1.0, 2.0])
    assert compare(np.array([1e200, 1.0, 2.0]), reference, default_tolerance([ir.DataType.DOUBLE])).wrong == 0
    assert math.isfinite(float(FLOAT.allowed(reference)[0]))


@pytest.mark.parametrize(
    ("actual", "expected", "misplaced"),
    [
        ([NAN, 1], [NAN, 1], 0),
        ([INF, -INF], [INF, -INF], 0),
        ([NAN, 1], [1, 1], 1),
        ([1, 1], [NAN, 1], 1),
        ([INF, 1], [-INF, 1], 1),
        ([INF, NAN], [NAN, INF], 2),
        ([INF, 1], [1, 1], 1),
        ([1, 1], [INF, 1], 1),
    ],
)
def test_nan_and_infinities_belong_where_the_reference_has_them(actual, expected, misplaced):
    found = compare(np.array(actual, np.float32), np.array(expected, np.float64), FLOAT)
    assert found.misplaced == found.wrong == misplaced
    assert math.isinf(found.noise_ratio) == bool(misplaced)


def test_overflow_of_the_type_is_what_rounding_gives():
    assert compare(np.array([INF], np.float32), np.array([1e39]), FLOAT).wrong == 0
    assert compare(np.array([INF], np.float32), np.array([1e38]), FLOAT).wrong == 1
    assert compare(np.array([-INF], np.float32), np.array([1e39]), FLOAT).wrong == 1


def test_nan_and_infinities_are_counted():
    found = compare(np.array([NAN, INF, -INF, 1], np.float32), np.array([NAN, INF, -INF, 1]), FLOAT)
    assert (found.nan, found.inf, found.elements) == (1, 2, 4)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_and_booleans_are_exact(dtype):
    expected = np.array([0, 1, 1], dtype)
    assert compare(expected, expected, FLOAT).wrong == 0
    assert compare(np.array([0, 1, 0], dtype), expected, FLOAT).wrong == 1


def test_strings_are_exact():
    assert compare(np.array(["a", "b"], object), np.array(["a", "c"], object), FLOAT).wrong == 1


def test_large_integers_do_not_pass_through_floats():
    assert compare(np.array([2**62 + 1]), np.array([2**62]), FLOAT).wrong == 1


def test_empty_and_scalar_arrays():
    assert compare(np.zeros((0, 3), np.float32), np.zeros((0, 3)), FLOAT) == Comparison()
    assert compare(np.float32(1).reshape(()), np.array(1.0), FLOAT).elements == 1


def test_sums_of_comparisons():
    first = compare(np.array([1.0]), np.array([1.0]), EXACT)
    second = compare(np.array([2.5, NAN]), np.array([2.0, NAN]), EXACT)
    both = first + second
    assert (both.elements, both.wrong, both.max_abs_error, both.max_rel_error, both.nan) == (
        3,
        1,
        0.5,
        0.25,
        1,
    )


def test_given_tolerances_are_numpys():
    tolerance = given_tolerance(0.1, None)
    assert tolerance is not None
    assert tolerance.allowed(np.array([10.0, 0.0])).tolist() == [1.0, 0.0]
    assert given_tolerance(None, None) is None
    with pytest.raises(UsageError, match="rtol must be 0 or more, got -1"):
        given_tolerance(-1, None)
    with pytest.raises(UsageError, match="atol must be 0 or more, got nan"):
        given_tolerance(None, NAN)


def test_the_least_precise_arithmetic_decides():
    mixed = default_tolerance([ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT64])
    assert mixed == default_tolerance([ir.DataType.FLOAT16])
    assert default_tolerance([ir.DataType.INT64]) == FLOAT
