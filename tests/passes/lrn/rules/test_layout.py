"""Moving elements in formulas is what the graph does with them."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.passes.lrn.interpreter import Blocked, Lengths
from normdeploy.passes.lrn.window_sums import WindowSums
from tests.passes.lrn.formulas import assert_understood, interpreted
from tests.passes.lrn.written import model

SHAPE = (2, 6, 3, 4)
X = np.random.default_rng(0).integers(-3, 4, SHAPE).astype(float)
ZEROS = np.zeros((2, 2, 3, 4))

# name -> (body from x to y, constants, the shape of y)
MOVES: dict[str, tuple[str, dict[str, object], tuple[int, ...]]] = {
    "Transpose": ("y = Transpose <perm = [0, 2, 3, 1]> (x)", {}, (2, 3, 4, 6)),
    "Transpose without perm": ("y = Transpose(x)", {}, (4, 3, 6, 2)),
    "Reshape": ("y = Reshape(x, to)", {"to": [2, 1, 6, -1]}, (2, 1, 6, 12)),
    "Reshape that copies": ("y = Reshape(x, to)", {"to": [0, 0, -1]}, (2, 6, 12)),
    "Unsqueeze": ("y = Unsqueeze(x, at)", {"at": [1, -1]}, (2, 1, 6, 3, 4, 1)),
    "Squeeze": ("u = Unsqueeze(x, at)  y = Squeeze(u, at)", {"at": [1, 3]}, SHAPE),
    "Squeeze of all": ("u = Unsqueeze(x, at)  y = Squeeze(u)", {"at": [1, 3]}, SHAPE),
    "Slice": ("y = Slice(x, st, en, ax)", {"st": [1], "en": [5], "ax": [1]}, (2, 4, 3, 4)),
    "Slice from the end": ("y = Slice(x, st, en, ax)", {"st": [-3], "en": [-1], "ax": [1]}, (2, 2, 3, 4)),
    "Slice to the end": ("y = Slice(x, st, en, ax)", {"st": [2], "en": [2**31 - 1], "ax": [1]}, (2, 4, 3, 4)),
    "Slice of two axes": (
        "y = Slice(x, st, en, ax)",
        {"st": [1, 0], "en": [5, 2], "ax": [1, -1]},
        (2, 4, 3, 2),
    ),
    "Split": ("a, y, c = Split <axis = 1> (x, by)", {"by": [1, 3, 2]}, (2, 3, 3, 4)),
    "Split in halves": ("a, y = Split <axis = 1> (x)", {}, (2, 3, 3, 4)),
    "Gather": ("y = Gather <axis = 1> (x, at)", {"at": [5, 0, 0]}, (2, 3, 3, 4)),
    "Concat with zeros": ("y = Concat <axis = 1> (zeros, x, zeros)", {"zeros": ZEROS}, (2, 10, 3, 4)),
    "Concat of parts": (
        "a, b = Split <axis = 1> (x)  y = Concat <axis = 1> (b, zeros, a)",
        {"zeros": ZEROS},
        (2, 8, 3, 4),
    ),
}


def made(body: str, constants: dict[str, object], to: tuple[int | str, ...], shape=SHAPE):
    return model(body, constants, shape, output=to)


@pytest.mark.parametrize("case", MOVES.values(), ids=MOVES)
def test_moves(case):
    assert isinstance(assert_understood(made(*case), X), WindowSums)


@pytest.mark.parametrize(("body", "length"), [("y, b = Split", 2), ("a, y = Split", 1)])
def test_a_split_in_unequal_parts(body, length):
    proto = model(f"{body} <axis = 2, num_outputs = 2> (x)", {}, SHAPE, opset=18, output=(2, 6, length, 4))
    assert assert_understood(proto, X).shape == [2, 6, length, 4]


@pytest.mark.parametrize(
    ("body", "constants", "words"),
    [
        (
            "y = Slice(s, st, en, ax, by)",
            {"st": [0], "en": [6], "ax": [1], "by": [2]},
            "takes every 2. element",
        ),
        ("y = Reshape(s, to)", {"to": [2, 3, 6, 4]}, "mixes axes"),
    ],
)
def test_squares_that_are_moved_as_in_no_lrn(body, constants, words):
    to = (2, 3, 3, 4) if "Slice" in body else (2, 3, 6, 4)
    formula = interpreted(made("s = Mul(x, x)  " + body, constants, to))
    assert isinstance(formula, Blocked)
    assert words in formula.reason


@pytest.mark.parametrize(
    ("body", "constants", "to"),
    [
        ("y = Concat <axis = 1> (x, ones)", {"ones": ZEROS + 1}, (2, 8, 3, 4)),
        ("r = Relu(x)  y = Concat <axis = 1> (x, r)", {}, (2, 12, 3, 4)),
        ("y = Gather <axis = 1> (x, at)", {"at": [[0, 1]]}, (2, 1, 2, 3, 4)),
        ("s = Mul(x, x)  q = Sqrt(s)  y = Concat <axis = 1> (q, q)", {}, (2, 12, 3, 4)),
    ],
    ids=["not zeros", "another tensor", "a matrix of indices", "powers"],
)
def test_what_has_no_formula(body, constants, to):
    assert interpreted(made(body, constants, to)) is None


class TestDynamicAxes:
    SHAPE = ("N", "C", 3, "W")

    def test_windows_by_slices_of_a_padded_axis(self):
        body = "p = Pad(x, pads)  y = Slice(p, st, en, ax)"
        constants = {"pads": [0, 1, 0, 0, 0, 1, 0, 0], "st": [2], "en": [2**31 - 1], "ax": [1]}
        proto = made(body, constants, self.SHAPE, self.SHAPE)
        assert assert_understood(proto, X).shape == list(self.SHAPE)

    def test_a_bound_in_the_middle_is_not_known(self):
        constants = {"st": [0], "en": [2], "ax": [1]}
        body = "s = Mul(x, x)  y = Slice(s, st, en, ax)"
        formula = interpreted(made(body, constants, ("N", 2, 3, "W"), self.SHAPE))
        assert isinstance(formula, Blocked)
        assert "it counts from an end of a dimension of length C" in formula.reason

    def test_a_reshape_by_computed_lengths(self):
        body = (
            "h = Shape(x)  n = Gather(h, zero)  m = Slice(h, one, end)  t = Concat <axis = 0> (n, one, m)  "
            "y = Reshape(x, t)"
        )
        proto = made(body, {"zero": [0], "one": [1], "end": [4]}, ("N", 1, "C", 3, "W"), self.SHAPE)
        assert interpreted(proto, "t") == Lengths(("N", 1, "C", 3, "W"))
        assert_understood(proto, X)

    def test_a_reshape_by_the_declared_lengths(self):
        """Where the target is computed in a way that has no rule."""
        body = "h = Shape(x)  f = Cast <to = 1> (h)  r = Ceil(f)  t = Cast <to = 7> (r)  y = Reshape(x, t)"
        formula = interpreted(made(body, {}, self.SHAPE, self.SHAPE))
        assert formula == WindowSums.root(self.SHAPE)

    def test_a_split_of_an_unknown_length_has_no_formula(self):
        assert interpreted(made("a, y = Split <axis = 1> (x)", {}, ("N", "D", 3, "W"), self.SHAPE)) is None

    def test_a_part_of_the_shape(self):
        proto = made("h = Shape <start = 1, end = 3> (x)  y = Identity(x)", {}, self.SHAPE, self.SHAPE)
        assert interpreted(proto, "h") == Lengths(("C", 3))
