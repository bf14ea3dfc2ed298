"""Ranges of shapes that an input takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normdeploy.errors import UsageError
from normdeploy.graph.shapes import format_dims


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
