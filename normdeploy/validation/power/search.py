"""The smallest error that is seen."""

from __future__ import annotations

import math
from collections.abc import Callable

SMALLEST = 1e-15
"""The smallest one: float64, in which the errors are computed, knows no smaller ones."""

LARGEST = 1.0
"""The largest one that is tried: a channel is gone, or twice what it should be."""

PRECISION = 1.25
"""Factor to which the smallest error is known."""

_STEPS = 20
"""Sizes that are tried at most. A proportional answer takes two."""

_MARGIN = 1.1
"""Of the size that would just be seen if the answer were proportional to the error: that one is tried."""


def smallest_seen(ratio: Callable[[float], float], begin: float) -> float | None:
    """The smallest size of an error that is seen, to within a factor of `PRECISION`.

    The answer is as good as proportional to small errors, and the first guess follows from that. Then it is
    enclosed between a size that is seen and one that is not, since a ReLU, a saturation or a step may make
    something else of larger errors.

    Args:
        ratio: called with the size of an error, tells what the outputs change by / what they may change by:
            above 1 it is seen; infinite where it is seen and nobody can say how clearly.
        begin: the size to begin with.

    Returns:
        None if not even the largest error is seen.
    """
    size, unseen, seen = begin, 0.0, math.inf
    for _ in range(_STEPS):
        found = ratio(size)
        if found > 1:
            seen = min(seen, size)
        else:
            unseen = max(unseen, size)
        if unseen >= LARGEST or seen <= SMALLEST or seen <= PRECISION * unseen or 1 < found <= PRECISION:
            break
        size = _next(size, found, unseen, seen)
    return seen if math.isfinite(seen) else None


def _next(size: float, ratio: float, unseen: float, seen: float) -> float:
    """The size to try next: where the answer is proportional, the smallest that is seen."""
    guess = _MARGIN * size / ratio if 0 < ratio < math.inf else 0.0
    if unseen == 0:
        return max(SMALLEST, guess if 0 < guess < seen else seen / 10)
    if math.isinf(seen):
        return min(LARGEST, guess if guess > PRECISION * unseen else 10 * unseen)
    return guess if unseen < guess < seen else math.sqrt(unseen * seen)
