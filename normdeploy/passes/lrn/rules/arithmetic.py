"""Elementwise arithmetic on meanings: constants, squares, powers, roots, quotients, logarithms."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.passes.lrn.axis_map import Dim
from normdeploy.passes.lrn.interpreter import Dims, Interpreter, Logarithm, Meaning, Power, Rule, Truth
from normdeploy.passes.lrn.window_sums import WindowSums


def as_power(meaning: Meaning | None) -> Power | None:
    """A field as a power of itself, or as x in the numerator."""
    if isinstance(meaning, Power):
        return meaning
    if not isinstance(meaning, WindowSums):
        return None
    if meaning.degree == 2:
        return Power(1.0, None, meaning, 1.0)
    factor = meaning.terms[0].coefficient
    if factor and meaning.scaled(1 / factor).is_moved_root():
        return Power(factor, meaning.axes, None, 0.0)
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


def _scaled(meaning: Meaning | None, factor: float) -> Meaning | None:
    if isinstance(meaning, WindowSums):
        return meaning.scaled(factor)
    if isinstance(meaning, Power):
        return Power(meaning.factor * factor, meaning.numerator, meaning.base, meaning.exponent)
    if isinstance(meaning, Logarithm):
        return Logarithm(meaning.factor * factor, meaning.power)
    return None


def _shape(meaning: Meaning | None) -> list[Dim]:
    if isinstance(meaning, Logarithm):
        meaning = meaning.power
    if isinstance(meaning, Power):
        return meaning.base.shape if meaning.base is not None else []
    return meaning.shape if isinstance(meaning, WindowSums) else []


def _with_constant(context: Interpreter, node: ir.Node) -> tuple[Meaning, float, bool] | None:
    """(the other operand's meaning, the constant, whether the constant comes first)."""
    for index in (0, 1):
        meaning = context.input(node, index)
        if meaning is not None and (
            (constant := context.uniform(node.inputs[1 - index], _shape(meaning))) is not None
        ):
            return meaning, constant, index == 1
    return None


def _mul(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    if found := _with_constant(context, node):
        return _scaled(found[0], found[1])
    first, second = context.input(node, 0), context.input(node, 1)
    if isinstance(first, WindowSums) and first.degree == 1 and first == second:
        return first.squared()
    return _times(as_power(first), as_power(second))


def _div(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    if found := _with_constant(context, node):
        meaning, constant, constant_first = found
        if not constant_first:
            return _scaled(meaning, 1 / constant) if constant else None
        inverse = _to_the(as_power(meaning), -1)
        return _scaled(inverse, constant)
    return _times(as_power(context.input(node, 0)), as_power(context.input(node, 1)), -1)


def _length_plus(context: Interpreter, node: ir.Node) -> Dims | None:
    """A known length of an axis and a constant, as exporters compute the ends of slices."""
    for index in range(len(node.inputs)):
        dims = context.input(node, index)
        constant = context.constants.scalar(node.inputs[1 - index]) if len(node.inputs) == 2 else None
        if isinstance(dims, Dims) and constant is not None and len(dims.values) == 1:
            (dim,) = dims.values
            return Dims((dim + int(constant),)) if isinstance(dim, int) else None
    return None


def _add(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    if length := _length_plus(context, node):
        return length
    total: WindowSums | None = None
    constant = 0.0
    fields = [item for index in range(len(node.inputs)) if (item := context.window_sums(node, index))]
    if not fields:
        return None
    for index, value in enumerate(node.inputs):
        field = context.window_sums(node, index)
        if field is not None:
            total = field if total is None else total.plus(field)
            if total is None:
                return None
            continue
        number = context.uniform(value, fields[0].shape)
        if number is None:
            return None
        constant += number
    return None if total is None else total.shifted(constant)


def _sub(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    if found := _with_constant(context, node):
        meaning, constant, constant_first = found
        if not isinstance(meaning, WindowSums):
            return None
        return meaning.scaled(-1).shifted(constant) if constant_first else meaning.shifted(-constant)
    first, second = context.window_sums(node, 0), context.window_sums(node, 1)
    return None if first is None or second is None else first.plus(second.scaled(-1))


def _pow(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    if meaning is None:
        return None
    exponent = context.uniform(node.inputs[1], _shape(meaning))
    if exponent is None:
        return None
    if isinstance(meaning, WindowSums) and meaning.degree == 1:
        return meaning.squared() if exponent == 2 else None
    return _to_the(as_power(meaning), exponent)


def _sqrt(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    return _to_the(as_power(context.input(node, 0)), 0.5)


def _reciprocal(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    return _to_the(as_power(context.input(node, 0)), -1)


def _neg(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    return _scaled(context.input(node, 0), -1)


def _log(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    power = as_power(context.input(node, 0))
    return None if power is None or power.numerator is not None else Logarithm(1.0, power)


def _exp(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    return _to_the(meaning.power, meaning.factor) if isinstance(meaning, Logarithm) else None


def _equal(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    for index in (0, 1):
        dims, constant = context.input(node, index), context.constants.scalar(node.inputs[1 - index])
        if isinstance(dims, Dims) and constant is not None and len(dims.values) == 1:
            (dim,) = dims.values
            return Truth(dim == constant) if isinstance(dim, int) else None
    return None


def _if(context: Interpreter, node: ir.Node, index: int) -> Meaning | None:
    condition = context.input(node, 0)
    if not isinstance(condition, Truth):
        return None
    branch = node.attributes["then_branch" if condition.holds else "else_branch"].as_graph()
    return context.meaning(branch.outputs[index])


def _identity(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    return context.input(node, 0)


def _cast(context: Interpreter, node: ir.Node, _: int) -> Meaning | None:
    meaning = context.input(node, 0)
    exact = isinstance(meaning, Dims) or ir.DataType(node.attributes.get_int("to", 1)) in _FLOATS
    return meaning if exact else None


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
