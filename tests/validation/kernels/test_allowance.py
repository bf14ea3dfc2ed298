"""What kernels may err by: the rounding of their row or map at least."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Judge
from normdeploy.validation.kernels.allowance import usual
from normdeploy.validation.noise import Arithmetic
from normdeploy.validation.tolerance import Tolerance
from tests.builders import Graph


def test_an_element_has_at_least_what_is_usual_for_its_row():
    sigma = np.array([[1.0, 1.0, 0.0, 7.0], [2.0, 2.0, 2.0, 2.0]])
    assert usual(sigma)[0].tolist() == pytest.approx([51**0.5 / 2] * 3 + [7.0])
    assert usual(sigma)[1].tolist() == [2.0] * 4


def test_rows_are_maps_where_an_output_has_them():
    sigma = np.zeros((2, 3, 2, 2))
    sigma[0, 1, 0, 0] = 2.0
    expected = np.zeros((2, 3, 2, 2))
    expected[0, 1] = [[2.0, 1.0], [1.0, 1.0]]
    assert np.array_equal(usual(sigma), expected)


def test_one_number_has_its_own():
    assert usual(np.array(3.0)) == 3.0
    assert usual(np.array([0.0, 2.0])).tolist() == pytest.approx([2**0.5, 2.0])
    assert usual(np.zeros((0, 3))).shape == (0, 3)


def test_what_is_unknown_says_nothing_of_its_neighbours():
    sigma = np.array([[np.nan, np.inf, 3.0, 4.0]])
    assert usual(sigma)[0].tolist() == pytest.approx([2.5, np.inf, 3.0, 4.0])


def judged(error, tolerance=None):
    """x · w with an error in the smallest element, judged."""
    graph = Graph(np.float32)
    model = graph.model(graph.node("MatMul", graph.input("x", 1, 16), graph.normal(16, 50)))
    evaluator = Evaluator(inferred(model))
    judge = Judge(evaluator, evaluator, tolerance)
    x = np.random.default_rng(8).standard_normal((1, 16)).astype(np.float32)
    case = judge.on({"x": x})
    (name,) = case.expected
    y = case.expected[name].astype(np.float32)
    y[0, np.abs(y[0]).argmin()] += error
    return case.judge_emulated({name: y}, Arithmetic(), usual)[name].comparison


def test_the_smallest_element_may_err_as_its_neighbours_do():
    assert not judged(1e-6).wrong
    assert judged(1e-5).wrong == 1


def test_a_tolerance_comes_before():
    assert judged(1e-6, Tolerance(0.0, 5e-7)).wrong == 1
    assert not judged(1e-5, Tolerance(0.0, 1e-4)).wrong
