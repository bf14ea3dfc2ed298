"""The shapes that an engine is to take, from what a model declares and what a user gives."""

import numpy as np
import pytest

from normdeploy.engine.shapes import profile_shapes
from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.ranges import Range

FLOAT32 = np.dtype(np.float32)
X = DeclaredInput("x", FLOAT32, ("N", 3, None))
FIXED = DeclaredInput("fixed", FLOAT32, (1, 8))
UNKNOWN = DeclaredInput("unknown", FLOAT32, None)


def test_one_shape_is_a_range_of_one():
    assert profile_shapes([X, FIXED], {"x": (2, 3, 6)}) == {
        "x": ((2, 3, 6), (2, 3, 6), (2, 3, 6)),
        "fixed": ((1, 8), (1, 8), (1, 8)),
    }


def test_a_range():
    given = Range((1, 3, 6), (4, 3, 6), (8, 3, 7))
    assert profile_shapes([X], {"x": given}) == {"x": ((1, 3, 6), (4, 3, 6), (8, 3, 7))}


def test_a_name_that_one_shape_decides_holds_in_all():
    other = DeclaredInput("other", FLOAT32, ("N", 5))
    found = profile_shapes([X, other], {"x": Range((1, 3, 6), (4, 3, 6), (8, 3, 6))})
    assert found["other"] == ((1, 5), (4, 5), (8, 5))


def test_a_shape_where_not_even_the_rank_is_declared():
    assert profile_shapes([UNKNOWN], {"unknown": (2, 2)}) == {"unknown": ((2, 2),) * 3}


@pytest.mark.parametrize(
    ("inputs", "shapes", "error", "message"),
    [
        (
            [X],
            {},
            UsageError,
            r"^input 'x' is float32 \[N, 3, \?\]: give its shape, such as --shape x:1x3x1, or ",
        ),
        ([UNKNOWN], {}, UsageError, r"--shape unknown:1x3, or"),
        ([X], {"x": (1, 4, 6)}, InputError, "does not fit"),
        (
            [X],
            {"x": Range((1, 3, 6), (1, 3, 6), (1, 4, 6))},
            InputError,
            r"\[1, 4, 6\] given for 'x' does not",
        ),
        ([X], {"z": (1, 3, 6)}, UsageError, "the model's inputs are 'x'"),
        ([X], {"x": (0, 3, 6)}, UsageError, "below 1"),
    ],
)
def test_shapes_that_the_model_does_not_take(inputs, shapes, error, message):
    with pytest.raises(error, match=message):
        profile_shapes(inputs, shapes)
