"""Where windows lie, against a loop over every window."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from normdeploy.reference.windows import Windows


@st.composite
def windows(draw):
    rank = draw(st.integers(1, 2))

    def each(low, high):
        return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    sizes, kernel, strides, dilations = each(3, 7), each(1, 3), each(1, 3), each(1, 2)
    pads = each(-1, 2) + each(-1, 2)
    found = Windows.of(sizes, kernel, strides, dilations, pads, ceil_mode=draw(st.integers(0, 1)))
    assume(min(found.outputs) > 0)
    return found


def places(found, position):
    """The coordinates in the input of a window's elements, those outside included."""
    axes = [
        [p * s - b + d * tap for tap in range(k)]
        for p, s, b, d, k in zip(
            position, found.strides, found.before, found.dilations, found.kernel, strict=True
        )
    ]
    return itertools.product(*axes)


@given(windows())
@settings(max_examples=100, deadline=None)
def test_elements_and_counts_of_every_window(found):
    x = np.arange(1.0, 1 + math.prod(found.sizes)).reshape(1, 1, *found.sizes)
    view = found.view(found.pad(x, -1.0))[0, 0]
    inside, with_border = found.counts(include_pad=False), found.counts(include_pad=True)
    for position in np.ndindex(found.outputs):
        elements, counted, bordered = [], 0, 0
        for place in places(found, position):
            within = all(0 <= i < size for i, size in zip(place, found.sizes, strict=True))
            elements.append(x[(0, 0, *place)] if within else -1.0)
            counted += within
            bordered += all(
                -b <= i < size + a
                for i, b, a, size in zip(place, found.before, found.after, found.sizes, strict=True)
            )
        if min(found.before + found.after) >= 0:
            assert view[position].ravel().tolist() == elements
        assert (inside[position], with_border[position]) == (counted, bordered)
    assert found.positions == math.prod(found.outputs)


@pytest.mark.parametrize(
    ("auto_pad", "pads"), [("SAME_UPPER", (1, 2)), ("SAME_LOWER", (2, 1)), ("VALID", (0, 0))]
)
def test_automatic_pads(auto_pad, pads):
    found = Windows.of([8], [5], [2], auto_pad=auto_pad)
    assert (found.before, found.after) == ((pads[0],), (pads[1],))
    assert found.outputs == ((8 + sum(pads) - 5) // 2 + 1,)


def test_a_window_that_would_begin_past_the_input_is_none():
    """ceil_mode with a stride of 3 over 4 elements and an end of 2: the third would begin at 6."""
    assert Windows.of([4], [1], [3], pads=[0, 2], ceil_mode=1).outputs == (2,)
    assert Windows.of([5], [2], [2], ceil_mode=1).outputs == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"kernel": [3]}, "2 spatial axes"), ({"kernel": [3, 0]}, "at least 1"),
     ({"kernel": [3, 3], "strides": [1, -1]}, "at least 1")],
)  # fmt: skip
def test_attributes_that_make_no_windows(arguments, message):
    with pytest.raises(ValueError, match=message):
        Windows.of([5, 5], **arguments)
