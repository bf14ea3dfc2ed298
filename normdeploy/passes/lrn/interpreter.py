"""What tensors mean relative to a root tensor x: sums of its squares, powers of those, its dimensions.

An `Interpreter` goes up from a tensor to x through operators that it knows (see `rules`)
and gives each tensor on the way its meaning. What it cannot describe has none; where squares of x reach an
operator in a way that no LRN has, the tensor is `Blocked`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.passes.constants import Constants
from normdeploy.passes.lrn.axis_map import Dim
from normdeploy.passes.lrn.window_sums import WindowSums
from normdeploy.passes.report import Refused

LARGEST = 4096
"""Tensors that an interpreter looks at before it gives up: a window of 31×31 slices has as many."""


@dataclass(frozen=True)
class Power:
    """factor · x^(0 or 1) · base^exponent; `numerator` tells how the dimensions of x lie, if it is there."""

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
class Dims:
    """Lengths of axes, as Shape gives them."""

    values: tuple[Dim, ...]


@dataclass(frozen=True)
class Truth:
    """A condition that holds, or not, whatever the input."""

    holds: bool


@dataclass(frozen=True)
class Blocked:
    """Squares of x come here, but not as an LRN sums them."""

    reason: str


Meaning = WindowSums | Power | Logarithm | Dims | Truth | Blocked
Rule = Callable[["Interpreter", ir.Node, int], Meaning | None]
"""Gives the meaning of a node's output (by number), or None; raises Refused where squares are misused."""


class Interpreter:
    """The meanings of tensors relative to one root."""

    def __init__(self, root: ir.Value, constants: Constants, rules: Mapping[str, Rule]) -> None:
        assert root.shape is not None
        self.root, self.constants = root, constants
        self.shape: tuple[Dim, ...] = tuple(_dim(root, index, dim) for index, dim in enumerate(root.shape))
        self._rules = rules
        self._known: dict[ir.Value, Meaning | None] = {root: WindowSums.root(self.shape)}

    def meaning(self, value: ir.Value | None) -> Meaning | None:
        """What the tensor means; None where it cannot be told."""
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

    def input(self, node: ir.Node, index: int) -> Meaning | None:
        """The meaning of a node's input."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return None if value is None else self._known.get(value)

    def window_sums(self, node: ir.Node, index: int = 0) -> WindowSums | None:
        """The meaning of a node's input where it is a field."""
        meaning = self.input(node, index)
        return meaning if isinstance(meaning, WindowSums) else None

    def computes(self, value: ir.Value) -> bool:
        """Whether a tensor that was reached holds numbers made from x (not, say, its dimensions)."""
        return isinstance(self._known.get(value), (WindowSums, Power, Logarithm, Blocked))

    def integers(self, node: ir.Node, index: int, attribute: str) -> list[int] | None:
        """A list that newer operator sets pass as a constant input, older ones as an attribute."""
        if attribute in node.attributes:
            return list(node.attributes.get_ints(attribute, ()))
        array = self.constants.array(node.inputs[index]) if index < len(node.inputs) else None
        return None if array is None else [int(item) for item in array.reshape(-1)]

    def uniform(self, value: ir.Value | None, shape: tuple[Dim, ...] | list[Dim]) -> float | None:
        """The number that a constant holds everywhere, if it broadcasts to the shape without enlarging it."""
        array = self.constants.array(value)
        if array is None or not array.size or array.ndim > len(shape):
            return None
        dims = shape[len(shape) - array.ndim :]
        if any(size not in (1, dim) for size, dim in zip(array.shape, dims, strict=True)):
            return None
        first = array.reshape(-1)[0]
        return float(first) if np.all(array == first) else None

    def _rule(self, node: ir.Node) -> Rule | None:
        return self._rules.get(node.op_type) if not node.domain else None

    def _compute(self, node: ir.Node, value: ir.Value) -> Meaning | None:
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


def _dim(value: ir.Value, index: int, dim: int | ir.SymbolicDim) -> Dim:
    if isinstance(dim, int):
        return dim
    return dim.value if dim.value is not None else f"dimension {index} of {value.name}"
