"""Ranges of shapes."""

import pytest

from normdeploy.errors import UsageError
from normdeploy.inputs.ranges import Range


@pytest.mark.parametrize("bounds", [((2,), (1,), (3,)), ((1,), (3,), (2,)), ((1,), (1, 2), (3,))])
def test_a_range_ascends(bounds):
    with pytest.raises(UsageError, match="do not ascend"):
        Range(*bounds)
