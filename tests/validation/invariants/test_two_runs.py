"""What two runs may differ by."""

import numpy as np
import pytest

from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.validation.invariants.two_runs import TwoRuns, same_bits
from normdeploy.validation.noise import RoundingNoise, factor
from normdeploy.validation.tolerance import Tolerance
from tests.builders import parsed, unary

X = {"x": np.linspace(0.5, 2, 64, dtype=np.float32)}


def runs(model, inputs=X, tolerance=None):
    return TwoRuns(Evaluator(load(model)), inputs, tolerance, seed=0)


def test_two_runs_may_differ_by_the_root_of_two_as_much_as_one_from_what_is_right():
    evaluator = Evaluator(load(unary("Exp", ["N"])))
    y = np.exp(X["x"])
    noise = RoundingNoise(evaluator, X, 0)
    ours, allowed = runs(unary("Exp", ["N"])), factor(64) * noise.expected("y")
    reach = np.maximum(allowed, noise.reach("y"))
    right = np.float64(y)
    for share, wrong in ((0.99, 0), (1.01, 64)):
        off = right + share * np.sqrt(2) * allowed
        found = ours.compare("y", off, right, steps=False)
        assert (found.wrong, found.noise_ratio) == (wrong, pytest.approx(share, rel=1e-5))
        assert ours.compare("y", right + share * np.sqrt(2) * reach, right).wrong == wrong


def test_a_part_of_an_output():
    ours = runs(unary("Exp", ["N"]))
    y = np.exp(X["x"])
    assert not ours.compare("y", y[3:5], y[3:5], lambda array: array[3:5]).wrong
    assert ours.compare("y", y[3:5] * 1.01, y[3:5], lambda array: array[3:5]).wrong == 2


def test_each_run_may_use_up_a_tolerance_of_the_user():
    ours = runs(unary("Exp", ["N"]), tolerance=Tolerance(0.01, 0))
    y = np.exp(X["x"])
    assert not ours.compare("y", y * np.float32(1.015), y).wrong
    assert ours.compare("y", y * np.float32(1.025), y).wrong == 64
    assert ours.has_settled_shape("y")


def test_integers_may_differ_where_rounding_decides():
    model = parsed("g (float[N] x) => (int64 y) { s = Sqrt (x) y = ArgMax <axis = 0, keepdims = 0> (s) }")
    tied = runs(model, {"x": np.array([1, 2, np.nextafter(np.float32(2), np.float32(3))], np.float32)})
    assert not tied.compare("y", np.array(1), np.array(2)).wrong
    clear = runs(model, {"x": np.array([1, 2, 3], np.float32)})
    assert clear.compare("y", np.array(1), np.array(2)).wrong == 1


def test_another_kind_of_number_is_wrong():
    ours = runs(unary("Exp", ["N"]))
    assert ours.compare("y", np.zeros(64, np.int32), np.zeros(64, np.float32)).wrong == 64


def test_shapes_that_rounding_may_change():
    graph = "g (float[N] x) => (int64[1, M] y) { s = Exp (x) g = Greater (s, limit) y = NonZero (g) }"
    model = parsed(graph.replace(" s = Exp", " limit = Constant <value_float = 1.0> () s = Exp"))
    assert runs(model, {"x": np.array([-1, 1], np.float32)}).has_settled_shape("y")
    assert not runs(model, {"x": np.array([0, 1], np.float32)}).has_settled_shape("y")


def test_same_bits():
    zero = np.array([0.0], np.float32)
    assert same_bits(zero, zero.copy())
    assert same_bits(zero * np.nan, zero * np.nan)
    assert not same_bits(zero, -zero)
    assert not same_bits(zero, np.zeros(1))
    assert same_bits(np.array(["a"], object), np.array(["a"], object))
