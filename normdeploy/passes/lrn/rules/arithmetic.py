"""Elementwise arithmetic on formulas: constants, squares, powers, roots, quotients, logarithms."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.passes.lrn.axis_map import Length
from normdeploy.passes.lrn.interpreter import Condition, Formula, Interpreter, Lengths, Logarithm, Power, Rule
from normdeploy.passes.lrn.window_sums import WindowSums


def as_power(formula: Formula | None) -> Power | None:
    """Sums of squares as a power of themselves, x as a numerator; None for what is neither."""
    if isinstance(formula, Power):
        return formula
    if not isinstance(formula, WindowSums):
        return None
    if formula.degree == 2:
        return Power(1.0, None, formula, 1.0)
    factor = formula.terms[0].coefficient
    if factor and formula.scaled(1 / factor).is_moved_root():
        return Power(factor, formula.axes, None, 0.0)
    return None


def _times(first: Power | None, second: Power | None, exponent: int = 1) -> Power | None:
    """first · second^exponent, for an exponent of 1 or −1."""
    if first is None or second is None:
        return None
    if second.numerator is not None and (first.numerator is not None or exponent < 0):
        return None
    if first.base is not None and second.base is not None and first.base != second.base:
        return None
    if second.factor == 0:
        return None
    return Power(
        first.factor * second.factor**exponent,
        first.numerator if first.numerator is not None else second.numerator,
        first.base if first.base is not None else second.base,
        first.exponent + exponent * second.exponent,
    )


def _to_the(power: Power | None, exponent: float) -> Power | None:
    if power is None or power.numerator is not None or power.factor <= 0:
        return None
    return Power(power.factor**exponent, None, power.base, power.exponent * exponent)


def _scaled(formula: Formula | None, factor: float) -> Formula | None:
    if isinstance(formula, WindowSums):
        return formula.scaled(factor)
    if isinstance(formula, Power):
        return Power(formula.factor * factor, formula.numerator, formula.base, formula.exponent)
    if isinstance(formula, Logarithm):
        return Logarithm(formula.factor * factor, formula.power)
    return None


def _shape(formula: Formula | None) -> list[Length]:
    if isinstance(formula, Logarithm):
        formula = formula.power
    if isinstance(formula, Power):
        return formula.base.shape if formula.base is not None else []
    return formula.shape if isinstance(formula, WindowSums) else []


def _with_constant(interpreter: Interpreter, node: ir.Node) -> tuple[Formula, float, bool] | None:
    """(the other operand's formula, the constant, whether the constant comes first)."""
    for index in (0, 1):
        formula = interpreter.input(node, index)
        if formula is not None and (
            (constant := interpreter.uniform(node.inputs[1 - index], _shape(formula))) is not None
        ):
            return formula, constant, index == 1
    return None


def _mul(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    if found := _with_constant(interpreter, node):
        return _scaled(found[0], found[1])
    first, second = interpreter.input(node, 0), interpreter.input(node, 1)
    if isinstance(first, WindowSums) and first.degree == 1 and first == second:
        return first.squared()
    return _times(as_power(first), as_power(second))


def _div(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    if found := _with_constant(interpreter, node):
        formula, constant, constant_first = found
        if not constant_first:
            return _scaled(formula, 1 / constant) if constant else None
        inverse = _to_the(as_power(formula), -1)
        return _scaled(inverse, constant)
    return _times(as_power(interpreter.input(node, 0)), as_power(interpreter.input(node, 1)), -1)


def _length_plus(interpreter: Interpreter, node: ir.Node) -> Lengths | None:
    """A known length plus a constant, as exporters compute the ends of slices; None for any other sum."""
    for index in range(len(node.inputs)):
        lengths = interpreter.input(node, index)
        constant = interpreter.constants.scalar(node.inputs[1 - index]) if len(node.inputs) == 2 else None
        if isinstance(lengths, Lengths) and constant is not None and len(lengths.values) == 1:
            (length,) = lengths.values
            return Lengths((length + int(constant),)) if isinstance(length, int) else None
    return None


def _add(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    if lengths := _length_plus(interpreter, node):
        return lengths
    total: WindowSums | None = None
    constant = 0.0
    shapes = [item.shape for i in range(len(node.inputs)) if (item := interpreter.window_sums(node, i))]
    if not shapes:
        return None
    for index, value in enumerate(node.inputs):
        sums = interpreter.window_sums(node, index)
        if sums is not None:
            total = sums if total is None else total.plus(sums)
            if total is None:
                return None
            continue
        number = interpreter.uniform(value, shapes[0])
        if number is None:
            return None
        constant += number
    return None if total is None else total.plus_constant(constant)


def _sub(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    if found := _with_constant(interpreter, node):
        formula, constant, constant_first = found
        if not isinstance(formula, WindowSums):
            return None
        if constant_first:
            return formula.scaled(-1).plus_constant(constant)
        return formula.plus_constant(-constant)
    first, second = interpreter.window_sums(node, 0), interpreter.window_sums(node, 1)
    return None if first is None or second is None else first.plus(second.scaled(-1))


def _pow(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    if formula is None:
        return None
    exponent = interpreter.uniform(node.inputs[1], _shape(formula))
    if exponent is None:
        return None
    if isinstance(formula, WindowSums) and formula.degree == 1:
        return formula.squared() if exponent == 2 else None
    return _to_the(as_power(formula), exponent)


def _sqrt(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _to_the(as_power(interpreter.input(node, 0)), 0.5)


def _reciprocal(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _to_the(as_power(interpreter.input(node, 0)), -1)


def _neg(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return _scaled(interpreter.input(node, 0), -1)


def _log(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    power = as_power(interpreter.input(node, 0))
    return None if power is None or power.numerator is not None else Logarithm(1.0, power)


def _exp(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    return _to_the(formula.power, formula.factor) if isinstance(formula, Logarithm) else None


def _equal(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    for index in (0, 1):
        lengths, constant = (
            interpreter.input(node, index),
            interpreter.constants.scalar(node.inputs[1 - index]),
        )
        if isinstance(lengths, Lengths) and constant is not None and len(lengths.values) == 1:
            (length,) = lengths.values
            return Condition(length == constant) if isinstance(length, int) else None
    return None


def _if(interpreter: Interpreter, node: ir.Node, index: int) -> Formula | None:
    condition = interpreter.input(node, 0)
    if not isinstance(condition, Condition):
        return None
    branch = node.attributes["then_branch" if condition.holds else "else_branch"].as_graph()
    return interpreter.formula(branch.outputs[index])


def _identity(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    return interpreter.input(node, 0)


def _cast(interpreter: Interpreter, node: ir.Node, _: int) -> Formula | None:
    formula = interpreter.input(node, 0)
    exact = isinstance(formula, Lengths) or ir.DataType(node.attributes.get_int("to", 1)) in _FLOATS
    return formula if exact else None


_FLOATS = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE)

RULES: Mapping[str, Rule] = {
    "Mul": _mul,
    "Div": _div,
    "Add": _add,
    "Sum": _add,
    "Sub": _sub,
    "Pow": _pow,
    "Sqrt": _sqrt,
    "Reciprocal": _reciprocal,
    "Neg": _neg,
    "Log": _log,
    "Exp": _exp,
    "Equal": _equal,
    "If": _if,
    "Identity": _identity,
    "Cast": _cast,
}
