"""Two arrays, element by element."""

import math

import ml_dtypes
import numpy as np
import pytest

from normdeploy.validation.compare import TensorComparison, compare

NAN, INF = math.nan, math.inf


def allow(shape, error=1e-5):
    return np.full(shape, error)


def test_errors_are_judged_element_by_element():
    actual = np.array([1.0, 2.0, 3.0], np.float32)
    found = compare(actual, np.array([1.0, 2.1, 3.1]), np.array([0.0, 0.2, 0.05]))
    assert found.wrong == 1
    assert found.noise_ratio == pytest.approx(2.0)
    assert found.max_abs_error == pytest.approx(0.1)


def test_nothing_is_allowed_by_default_but_a_flush_to_zero():
    assert compare(np.array([1.0], np.float32), np.array([1.0])).wrong == 0
    assert compare(np.array([1.0], np.float32), np.array([1.0000001])).wrong == 1
    assert compare(np.array([0.0], np.float32), np.array([1e-40])).wrong == 0
    assert compare(np.array([0.0], ml_dtypes.bfloat16), np.array([1e-30])).wrong == 1


def test_the_share_of_rounding_in_the_output():
    found = compare(np.ones(4), np.ones(4), allow(4), np.full(4, 0.25))
    assert found.expected_rounding == 0.25
    assert found.noise_share == pytest.approx(0.25)
    assert compare(np.ones(4), np.ones(4), allow(4)).noise_share is None


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
    found = compare(np.array(actual, np.float32), np.array(expected, np.float64), allow(2))
    assert found.misplaced == found.wrong == misplaced
    assert math.isinf(found.noise_ratio) == bool(misplaced)


def test_overflow_of_the_type_is_what_rounding_gives():
    assert compare(np.array([INF], np.float32), np.array([1e39]), allow(1)).wrong == 0
    assert compare(np.array([INF], np.float32), np.array([1e38]), allow(1)).wrong == 1
    assert compare(np.array([-INF], np.float32), np.array([1e39]), allow(1)).wrong == 1


def test_nan_and_infinities_are_counted():
    found = compare(np.array([NAN, INF, -INF, 1], np.float32), np.array([NAN, INF, -INF, 1]), allow(4))
    assert (found.nan, found.inf, found.elements) == (1, 2, 4)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_and_booleans_are_exact(dtype):
    expected = np.array([0, 1, 1], dtype)
    assert compare(expected, expected).wrong == 0
    assert compare(np.array([0, 1, 0], dtype), expected).wrong == 1


def test_ties_may_differ():
    found = compare(np.array([4, 5, 6]), np.array([4, 6, 7]), np.array([0.0, 1.0, 0.0]))
    assert (found.wrong, found.ties) == (1, 1)


def test_strings_are_exact():
    assert compare(np.array(["a", "b"], object), np.array(["a", "c"], object)).wrong == 1


def test_large_integers_do_not_pass_through_floats():
    assert compare(np.array([2**62 + 1]), np.array([2**62])).wrong == 1


def test_empty_and_scalar_arrays():
    assert compare(np.zeros((0, 3), np.float32), np.zeros((0, 3))) == TensorComparison()
    assert compare(np.float32(1).reshape(()), np.array(1.0)).elements == 1


def test_sums_of_comparisons():
    first = compare(np.array([1.0]), np.array([1.0]))
    second = compare(np.array([2.5, NAN]), np.array([2.0, NAN]))
    both = first + second
    assert (both.elements, both.wrong, both.max_abs_error, both.max_rel_error, both.nan) == (
        3,
        1,
        0.5,
        0.25,
        1,
    )
