"""Ranges of shapes that an input takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normdeploy.errors import UsageError
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.declared import DeclaredInput, with_shapes


@dataclass(frozen=True)
class Range:
    """Shapes of one input.

    Args:
        min: the smallest.
        opt: the usual one, which an engine is to be fastest for.
        max: the largest.

    Raises:
        UsageError: ranks differ, or sizes do not ascend from `min` to `max`.
    """

    min: Sequence[int]
    opt: Sequence[int]
    max: Sequence[int]

    def __post_init__(self) -> None:
        """Check the order."""
        ranks = {len(self.min), len(self.opt), len(self.max)}
        ordered = all(a <= b <= c for a, b, c in zip(self.min, self.opt, self.max, strict=False))
        if len(ranks) > 1 or not ordered:
            listed = ", ".join(format_dims(tuple(shape)) for shape in (self.min, self.opt, self.max))
            raise UsageError(f"the shapes {listed} do not ascend from the smallest to the largest")


def usual_shapes(
    inputs: Sequence[DeclaredInput], shapes: Mapping[str, Sequence[int] | Range]
) -> tuple[dict[str, Sequence[int]], dict[str, Range]]:
    """What a user gives as shapes, by the inputs' names: the usual ones, and the ranges among them.

    Args:
        inputs: as the model declares them.
        shapes: of some inputs.

    Raises:
        UsageError, InputError: an end of a range does not fit the model (see `with_shapes`).
    """
    ranges = {name: shape for name, shape in shapes.items() if isinstance(shape, Range)}
    for ends in ({n: r.min for n, r in ranges.items()}, {n: r.max for n, r in ranges.items()}):
        with_shapes(inputs, ends)
    return {name: shape.opt if isinstance(shape, Range) else shape for name, shape in shapes.items()}, ranges
