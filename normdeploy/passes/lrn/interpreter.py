"""Abstract interpretation of a graph: each tensor as a formula of one root tensor x.

An `Interpreter` walks from a tensor upstream to x, through operators that it has rules for (see `rules`), and
gives each tensor on the way its formula: sums of squares of x over windows, powers of those, dimensions of x.
A tensor that it cannot describe has none. Where squares of x reach an operator in a way that no LRN has, the
formula is `Blocked`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.graph.shapes import dims_of
from normdeploy.passes.constants import Constants
from normdeploy.passes.lrn.axis_map import Length
from normdeploy.passes.lrn.window_sums import WindowSums
from normdeploy.passes.report import Refused

LARGEST = 4096
"""Once it knows as many tensors, an interpreter goes no further upstream. A window of 31×31 slices, each with
starts and ends of its own, has 3·961 and 960 sums: 3843."""


@dataclass(frozen=True)
class Power:
    """factor · x · base^exponent, or the same without x.

    Args:
        factor: a number.
        numerator: the axes of x that each dimension holds; None where x is not a factor.
        base: sums over windows; None where there is none.
        exponent: of the base.
    """

    factor: float
    numerator: tuple[tuple[int, ...], ...] | None
    base: WindowSums | None
    exponent: float


@dataclass(frozen=True)
class Logarithm:
    """factor · log(power)."""

    factor: float
    power: Power


@dataclass(frozen=True)
class Lengths:
    """Lengths of axes, as Shape gives them."""

    values: tuple[Length, ...]


@dataclass(frozen=True)
class Condition:
    """A boolean that is the same whatever the input."""

    holds: bool


@dataclass(frozen=True)
class Blocked:
    """Squares of x come here, but not as an LRN sums them."""

    reason: str


Formula = WindowSums | Power | Logarithm | Lengths | Condition | Blocked
Rule = Callable[["Interpreter", ir.Node, int], Formula | None]
"""Gives the formula of a node's output (by number), or None; raises Refused where squares are misused."""


class Interpreter:
    """The formulas of tensors relative to one root.

    Args:
        root: the tensor x, of known rank.
        constants: of the model.
        rules: operator -> its rule.
    """

    def __init__(self, root: ir.Value, constants: Constants, rules: Mapping[str, Rule]) -> None:
        self.root, self.constants = root, constants
        self.shape: tuple[Length, ...] = _lengths(root)
        self._rules = rules
        self._known: dict[ir.Value, Formula | None] = {root: WindowSums.root(self.shape)}

    def formula(self, value: ir.Value | None) -> Formula | None:
        """The tensor in terms of the root; None where that is not known."""
        if value is None:
            return None
        stack = [value]
        while stack:
            current = stack[-1]
            if current in self._known:
                stack.pop()
                continue
            node = current.producer()
            if node is None or self._rule(node) is None or self.constants.is_constant(current):
                self._known[current] = None
                continue
            unknown = [item for item in sources(node) if item not in self._known]
            if unknown and len(self._known) < LARGEST:
                stack.extend(unknown)
            else:
                self._known[current] = self._compute(node, current)
        return self._known[value]

    def input(self, node: ir.Node, index: int) -> Formula | None:
        """The formula of a node's input, once it has been reached."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return None if value is None else self._known.get(value)

    def window_sums(self, node: ir.Node, index: int = 0) -> WindowSums | None:
        """The formula of a node's input where it is sums over windows."""
        formula = self.input(node, index)
        return formula if isinstance(formula, WindowSums) else None

    def computes(self, value: ir.Value) -> bool:
        """Whether a tensor that was reached holds numbers made from x (not, say, its dimensions)."""
        return isinstance(self._known.get(value), (WindowSums, Power, Logarithm, Blocked))

    def integers(self, node: ir.Node, index: int, attribute: str) -> list[int] | None:
        """A list that newer operator sets pass as a constant input, older ones as an attribute."""
        if attribute in node.attributes:
            return list(node.attributes.get_ints(attribute, ()))
        return self.constants.integers(node.inputs[index]) if index < len(node.inputs) else None

    def uniform(self, value: ir.Value | None, shape: Sequence[Length]) -> float | None:
        """The number that a constant holds everywhere, if it broadcasts to the shape without enlarging it.

        None where the tensor is no such constant.
        """
        array = self.constants.array(value)
        if array is None or not array.size or array.ndim > len(shape):
            return None
        lengths = shape[len(shape) - array.ndim :]
        if any(size not in (1, length) for size, length in zip(array.shape, lengths, strict=True)):
            return None
        first = array.reshape(-1)[0]
        return float(first) if np.all(array == first) else None

    def _rule(self, node: ir.Node) -> Rule | None:
        """What reads the node's meaning; None where its attributes come from a function's caller, too."""
        if node.domain or any(attribute.is_ref() for attribute in node.attributes.values()):
            return None
        return self._rules.get(node.op_type)

    def _compute(self, node: ir.Node, value: ir.Value) -> Formula | None:
        rule = self._rule(node)
        assert rule is not None
        inputs = [self._known.get(item) for item in node.inputs if item is not None]
        for item in inputs:
            if isinstance(item, Blocked):
                return item
        if all(item is None for item in inputs):
            return None
        try:
            return rule(self, node, value.index() or 0)
        except Refused as reason:
            if any(isinstance(item, WindowSums) and item.degree == 2 for item in inputs):
                return Blocked(f"{node.op_type} '{node.name or value.name}': {reason}")
            return None


def sources(node: ir.Node) -> list[ir.Value]:
    """The tensors that a node reads, and the results of its branches."""
    inputs = [value for value in node.inputs if value is not None]
    if node.op_type == "If":
        for branch in ("then_branch", "else_branch"):
            inputs.extend(list(node.attributes[branch].as_graph().outputs))
    return inputs


def _lengths(value: ir.Value) -> tuple[Length, ...]:
    """The lengths of a tensor's axes; an unknown one without a name gets one."""
    assert value.shape is not None
    return tuple(
        f"dimension {index} of {value.name}" if dim is None else dim
        for index, dim in enumerate(dims_of(value.shape))
    )
