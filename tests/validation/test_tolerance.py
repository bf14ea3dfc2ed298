"""A tolerance that the user gives."""

import math

import numpy as np
import pytest

from normdeploy.errors import UsageError
from normdeploy.validation.tolerance import Tolerance, given_tolerance


def test_given_tolerances_are_numpys():
    tolerance = given_tolerance(0.1, None)
    assert tolerance is not None
    assert tolerance.allowed(np.array([10.0, 0.0])).tolist() == [1.0, 0.0]
    assert given_tolerance(None, 0.5) == Tolerance(0.0, 0.5)
    assert given_tolerance(0.0, 0.0) == Tolerance(0.0, 0.0), "nothing is allowed, which is not no tolerance"
    assert given_tolerance(None, None) is None


def test_negative_tolerances_are_refused():
    with pytest.raises(UsageError, match="rtol must be 0 or more, got -1"):
        given_tolerance(-1, None)
    with pytest.raises(UsageError, match="atol must be 0 or more, got nan"):
        given_tolerance(None, math.nan)
    with pytest.raises(UsageError, match="atol must be 0 or more, got inf: then nothing could fail"):
        given_tolerance(None, math.inf)


def test_what_is_not_floating_has_to_be_equal():
    assert Tolerance(0.5, 2.0).allowed(np.array([3, 4])).tolist() == [0, 0]


def test_infinities_allow_no_error_of_other_elements():
    allowed = Tolerance(0.1, 0.0).allowed(np.array([np.inf, 10.0]))
    assert (allowed[0], allowed[1]) == (np.inf, 1.0)
