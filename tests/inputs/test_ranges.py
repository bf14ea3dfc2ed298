"""Ranges of shapes."""

import numpy as np
import pytest

from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.ranges import Range, usual_shapes

X = DeclaredInput("x", np.dtype(np.float32), ("N", 3, None))


@pytest.mark.parametrize("bounds", [((2,), (1,), (3,)), ((1,), (3,), (2,)), ((1,), (1, 2), (3,))])
def test_a_range_ascends(bounds):
    with pytest.raises(UsageError, match="do not ascend"):
        Range(*bounds)


def test_usual_shapes():
    given = Range((1, 3, 6), (4, 3, 6), (8, 3, 7))
    assert usual_shapes([X], {"x": given}) == ({"x": (4, 3, 6)}, {"x": given})
    assert usual_shapes([X], {"x": (1, 3, 6)}) == ({"x": (1, 3, 6)}, {})


@pytest.mark.parametrize(
    ("name", "given", "error"),
    [
        ("x", Range((0, 3, 6), (1, 3, 6), (2, 3, 6)), UsageError),
        ("x", Range((1, 3, 6), (1, 3, 6), (1, 4, 6)), InputError),
        ("y", Range((1,), (1,), (1,)), UsageError),
    ],
)
def test_an_end_that_does_not_fit(name, given, error):
    with pytest.raises(error):
        usual_shapes([X], {name: given})
