"""Shapes and ranges of shapes, as options give them."""

import click
import pytest

from normdeploy.cli.ranges import shape_or_range
from normdeploy.inputs.ranges import Range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:1x3", ("x", (1, 3))),
        ("a:b:1x3", ("a:b", (1, 3))),
        ("x:1x3:2x3:4x3", ("x", Range((1, 3), (2, 3), (4, 3)))),
        ("a:b:1:2:4", ("a:b", Range((1,), (2,), (4,)))),
        ("2:4:8", ("2:4", (8,))),
    ],
)
def test_shapes_and_ranges(text, expected):
    assert shape_or_range(text) == expected


@pytest.mark.parametrize("text", ["x", "x:1x:2x", "x:1:2:-3"])
def test_what_is_neither(text):
    with pytest.raises(click.BadParameter):
        shape_or_range(text)
