"""Arithmetic on formulas is the arithmetic that the graph computes."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.passes.lrn.interpreter import Condition, Lengths, Logarithm, Power
from normdeploy.passes.lrn.rules.arithmetic import as_power
from normdeploy.passes.lrn.window_sums import WindowSums
from tests.passes.lrn.formulas import assert_understood, interpreted
from tests.passes.lrn.written import model

SHAPE = (2, 3, 4)
X = np.random.default_rng(0).uniform(0.5, 2, SHAPE)
CONSTANTS = {
    "zero": 0.0,
    "two": 2.0,
    "half": 0.5,
    "k": 3.0,
    "each": np.full((3, 1), 1.5),
    "different": [1.0, 2, 3, 4],
}
BASE = "s = Mul(x, x)  b = Add(s, k)  "


def made(body: str):
    return model(body, CONSTANTS, SHAPE)


SUMS = {
    "times a constant": "y = Mul(x, two)",
    "a constant times it": "y = Mul(each, x)",
    "over a constant": "y = Div(x, two)",
    "plus constants on both sides": "a = Add(x, two)  y = Add(each, a)",
    "minus a constant": "y = Sub(x, two)",
    "a constant minus it": "y = Sub(two, x)",
    "minus itself, scaled": "a = Mul(x, two)  y = Sub(a, x)",
    "several at once": "a = Mul(x, two)  y = Sum(x, a, two, x)",
    "negated": "y = Neg(x)",
    "squared by Mul": "y = Mul(x, x)",
    "squared by Pow": "y = Pow(x, two)",
    "the square of a multiple": "a = Mul(x, two)  y = Mul(a, a)",
    "passed on": "a = Identity(x)  y = Cast <to = 1> (a)",
}
POWERS = {
    "a root": BASE + "y = Sqrt(b)",
    "a power": BASE + "y = Pow(b, half)",
    "a power of a power": BASE + "r = Sqrt(b)  y = Pow(r, k)",
    "a reciprocal": BASE + "y = Reciprocal(b)",
    "a constant over it": BASE + "y = Div(two, b)",
    "a product of powers": BASE + "r = Sqrt(b)  y = Mul(b, r)",
    "a quotient of powers": BASE + "r = Sqrt(b)  y = Div(r, b)",
    "x over it": BASE + "y = Div(x, b)",
    "x times its reciprocal": BASE + "r = Reciprocal(b)  y = Mul(x, r)",
    "twice x over it": BASE + "t = Mul(x, two)  y = Div(t, b)",
    "divided twice": BASE + "r = Sqrt(b)  q = Div(x, r)  y = Div(q, r)",
    "exponential of a multiple of the logarithm": BASE + "l = Log(b)  m = Mul(l, half)  y = Exp(m)",
    "negated logarithm": BASE + "l = Log(b)  n = Neg(l)  y = Exp(n)",
}


@pytest.mark.parametrize("body", SUMS.values(), ids=SUMS)
def test_sums(body):
    assert isinstance(assert_understood(made(body), X), WindowSums)


@pytest.mark.parametrize("body", POWERS.values(), ids=POWERS)
def test_powers(body):
    assert isinstance(assert_understood(made(body), X), Power)


def test_logarithms():
    assert isinstance(assert_understood(made(BASE + "y = Log(b)"), X), Logarithm)


@pytest.mark.parametrize(
    "body",
    [
        "y = Mul(x, different)",
        BASE + "y = Add(b, different)",
        "y = Pow(x, half)",
        "a = Add(x, two)  y = Mul(a, a)",
        BASE + "q = Div(x, b)  y = Mul(x, q)",
        BASE + "q = Div(x, b)  y = Sqrt(q)",
        BASE + "q = Div(x, b)  y = Log(q)",
        BASE + "q = Div(b, x)  y = Neg(q)",
        BASE + "r = Sqrt(b)  z = Mul(r, zero)  y = Div(x, z)",
        BASE + "c = Add(s, two)  y = Div(b, c)",
        BASE + "y = Exp(b)",
        "r = Relu(x)  y = Add(x, r)",
        BASE + "i = Cast <to = 7> (b)  y = Cast <to = 1> (i)",
    ],
)
def test_what_has_no_formula(body):
    assert interpreted(made(body)) is None


LENGTH = "h = Shape(x)  g = Gather(h, one)  "


@pytest.mark.parametrize(
    ("number", "branch", "shape", "expected"),
    [([3], "then", SHAPE, 1.0), ([4], "else", SHAPE, -1.0), ([3], "neither", (2, "C", 4), None)],
)
def test_a_condition_on_a_known_length_chooses_a_branch(number, branch, shape, expected):
    dims = ",".join(map(str, shape))
    body = (
        LENGTH
        + f"e = Equal(g, number)  y = If(e) <then_branch = t () => (float[{dims}] a) {{ a = Identity(x) }}, "
        f"else_branch = f () => (float[{dims}] b) {{ b = Neg(x) }}>"
    )
    proto = model(body, {"one": [1], "number": number}, shape)
    condition, formula = interpreted(proto, "e"), interpreted(proto)
    if branch == "neither":
        assert (condition, formula) == (None, None)
        return
    assert condition == Condition(branch == "then")
    assert formula == WindowSums.root(shape).scaled(expected)


def test_a_length_plus_a_constant():
    proto = model(LENGTH + "e = Add(g, two)  y = Identity(x)", {"one": [1], "two": [2]}, SHAPE)
    assert interpreted(proto, "e") == Lengths((5,))
    dynamic = model(LENGTH + "e = Add(g, two)  y = Identity(x)", {"one": [1], "two": [2]}, (2, "C", 4))
    assert interpreted(dynamic, "e") is None


def test_sums_as_powers():
    root = WindowSums.root(SHAPE)
    squared = root.squared()
    assert as_power(squared) == Power(1.0, None, squared, 1.0)
    assert as_power(root.scaled(3)) == Power(3.0, ((0,), (1,), (2,)), None, 0.0)
    assert as_power(root.plus_constant(1)) is None
    assert as_power(root.padded(1, 1, 1)) is None
    assert as_power(root.scaled(0)) is None
    assert as_power(Lengths((1,))) is None
    assert as_power(None) is None
