"""Formulas computed with NumPy, to hold them against what a graph computes."""

from __future__ import annotations

import numpy as np
import onnx

import normdeploy as nd
from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.passes.constants import Constants
from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.interpreter import Formula, Interpreter, Logarithm, Power
from normdeploy.passes.lrn.rules import arithmetic, layout, windows
from normdeploy.passes.lrn.window_sums import WindowSums

RULES = {**arithmetic.RULES, **layout.RULES, **windows.RULES}


def interpreted(model: onnx.ModelProto, output: str = "y", root: str = "x") -> Formula | None:
    """The formula of one tensor of a model in terms of another."""
    loaded = load(model)
    infer(loaded)
    values = {value.name: value for value in loaded.graph.inputs}
    values |= {value.name: value for node in loaded.graph for value in node.outputs}
    return Interpreter(values[root], Constants(loaded), RULES).formula(values[output])


def evaluate(formula: Formula | None, x: np.ndarray) -> np.ndarray:
    """A formula of sums, powers or logarithms, for x of the sizes that its names stand for."""
    if isinstance(formula, Logarithm):
        return formula.factor * np.log(evaluate(formula.power, x))
    if isinstance(formula, Power):
        base = 1.0 if formula.base is None else evaluate(formula.base, x) ** formula.exponent
        numerator = 1.0 if formula.numerator is None else arranged(x, formula.numerator)
        return np.asarray(formula.factor * numerator * base)
    assert isinstance(formula, WindowSums), formula
    source = arranged(x**formula.degree, formula.axes)
    total = np.zeros(())
    for term in formula.terms:
        value = source
        for index, along in enumerate(term.maps):
            matrix = axis_map.matrix(along, value.shape[index])
            value = np.moveaxis(np.tensordot(matrix, value, axes=(1, index)), 0, index)
        total = total + term.coefficient * value
    return np.asarray(total + formula.constant)


def arranged(x: np.ndarray, dimensions: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """x with its axes merged and in the order in which dimensions hold them; new ones have the length 1."""
    order = [axis for axes in dimensions for axis in axes]
    shape = [int(np.prod([x.shape[axis] for axis in axes], dtype=int)) for axes in dimensions]
    return x.transpose(order).reshape(shape)


def assert_understood(model: onnx.ModelProto, x: np.ndarray) -> Formula:
    """The formula of y computes what the graph does."""
    formula = interpreted(model)
    (expected,) = nd.evaluate(model, {"x": x}, ["y"]).values()
    found = evaluate(formula, x)
    np.testing.assert_allclose(np.broadcast_to(found, expected.shape), expected, rtol=1e-6, atol=1e-9)
    assert formula is not None
    return formula
