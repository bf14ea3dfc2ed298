"""Why an output can't show an error: what it looks like, and which operator made it so."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating

_MOVES = frozenset({
    "Identity", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout",
    "Expand", "Slice", "Gather", "Concat", "Split",
})  # fmt: skip
"""Operators that hand numbers on: the one before them decided."""

_BOUNDED = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard sigmoid",
    "Tanh": "tanh",
    "Clip": "clip",
}
_FULL = 0.999
"""Of what a bounded function reaches at most."""


@dataclass
class Looks:
    """What one output looks like, over the batches so far.

    Attributes:
        elements: how many there are.
        not_a_number: how many are NaN.
        finite: how many are numbers that are not infinite, of which those that follow speak.
        full: how many are as large as a function bounded by ±1 makes them.
        total: the sum of their sizes.
        smallest, largest: of them.
        moved: whether the error changed any element.
        ratio: the largest change / allowed change.
        kinds: of type, as NumPy names them.
    """

    elements: int = 0
    not_a_number: int = 0
    finite: int = 0
    full: int = 0
    total: float = 0.0
    smallest: float = math.inf
    largest: float = -math.inf
    moved: bool = False
    ratio: float = 0.0
    kinds: set[str] = field(default_factory=set)

    def add(self, array: Array, disturbed: Array | None, ratio: float) -> None:
        """Look at one batch.

        Args:
            array: the output without an error.
            disturbed: with the error; None if it has another shape.
            ratio: the largest change / allowed change.
        """
        self.kinds.add(array.dtype.kind)
        self.elements += array.size
        self.ratio = max(self.ratio, ratio)
        self.moved |= disturbed is None or not np.array_equal(
            array, disturbed, equal_nan=is_floating(array.dtype)
        )
        if array.dtype.kind not in "biuf":
            return
        numbers = array.astype(np.float64)
        self.not_a_number += int(np.count_nonzero(np.isnan(numbers)))
        numbers = numbers[np.isfinite(numbers)]
        self.finite += numbers.size
        self.smallest = min(self.smallest, float(np.min(numbers, initial=math.inf)))
        self.largest = max(self.largest, float(np.max(numbers, initial=-math.inf)))
        self.full += int(np.count_nonzero(np.abs(numbers) > _FULL))
        self.total += float(np.sum(np.abs(numbers)))


def why_blind(output: ir.Value, looks: Looks, allows_it: str) -> str:
    """Why an output can't show an error, in a few words.

    Args:
        output: of the graph.
        looks: what it looked like.
        allows_it: what allows it to move, "rounding may move it" or "the tolerance allows".
    """
    decided_by = _decided_by(output)
    if not looks.elements:
        return "it has no elements"
    if looks.not_a_number == looks.elements:
        return "every element is NaN"
    if not looks.finite and "f" in looks.kinds:
        return "every element is NaN or infinite"
    if "Relu" in decided_by and looks.smallest == looks.largest == 0:
        return "dead ReLU: every element is 0"
    if _is_saturated(decided_by, looks):
        return f"saturated {_BOUNDED[decided_by]}"
    if looks.smallest == looks.largest and looks.finite == looks.elements:
        return f"every element is {looks.smallest + 0.0:.6g}"
    if looks.moved and looks.ratio > 0:
        return f"it moves {looks.ratio:.2g} times as far as {allows_it}"
    return "no element changes"


def _decided_by(output: ir.Value) -> str:
    """The operator that gave the numbers of an output."""
    node = output.producer()
    while node is not None and node.op_type in _MOVES and node.inputs and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None:
        return ""
    activation = node.attributes.get("activation")
    if activation is not None and not activation.is_ref() and activation.type == ir.AttributeType.STRING:
        return activation.as_string()
    return node.op_type


def _is_saturated(decided_by: str, looks: Looks) -> bool:
    """Whether a bounded function gives its limits only."""
    match decided_by:
        case "Softmax":  # each row has one element of 1
            return looks.full > 0 and looks.full >= _FULL * looks.total
        case "Sigmoid" | "HardSigmoid":
            return looks.total - looks.full <= (1 - _FULL) * looks.elements
        case "Tanh":
            return looks.full == looks.elements
        case "Clip":
            return not looks.moved and looks.finite > 0
        case _:
            return False
