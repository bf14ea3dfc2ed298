"""What half precision would lose inside a normalization, from the numbers that it meets.

float16 ends at 65504 and thins out below 6.1e-5. A normalization squares its input, so that values far inside
the type's range leave it: 300² = 90000 already overflows, and an LRN whose sum of squares is infinite gives
x / ∞ = 0. Counted here, with every step rounded to float16 that an implementation without wider accumulators
stores:

- overflow: a sum of squares, a variance or a result above 65504;
- underflow: a denominator that small numbers have left, so that it is off by more than rounding explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.lrn import LRN, window_sum

Wide = NDArray[np.float64]

LARGEST = 65504.0
"""The largest finite float16."""

_LOST = 2.0**-8
"""Relative error of a denominator from which something is lost in it: 8 unit roundoffs of float16 (2⁻¹¹).
LRN rounds five times on the way (k, α, the sum, their product, the denominator), the others four times at
most, so that numbers in the type's normal range stay below 5 roundoffs; 8 is the next power of two."""


@dataclass(frozen=True)
class Extent:
    """What a layer met, over the arrays so far.

    Args:
        elements: outputs counted; channels for a BatchNormalization.
        max_abs: largest |x|; 0 where x is not known.
        largest: of the sums of squares, or variances + epsilon.
        overflow, underflow: how many of the elements are affected.
    """

    elements: int = 0
    max_abs: float = 0.0
    largest: float = 0.0
    overflow: int = 0
    underflow: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            self.elements + other.elements,
            max(self.max_abs, other.max_abs),
            max(self.largest, other.largest),
            self.overflow + other.overflow,
            self.underflow + other.underflow,
        )


def of_lrn(x: Wide, spec: LRN) -> Extent:
    """Sums of squares in the windows of an LRN, and k + α·sum made of them.

    Args:
        x: the layer's input, shape (N, C, D1, ...).
        spec: the layer.
    """
    axes = (1,) if spec.region == "across" else tuple(range(2, x.ndim))
    sums = np.square(x)
    for axis in axes:
        sums = window_sum(sums, axis, *spec.window)
    factor = spec.alpha_sum_over(len(axes))
    exact = spec.k + factor * sums
    half = rounded(rounded(spec.k) + rounded(rounded(factor) * rounded(sums)))
    over = (sums > LARGEST) | np.isinf(half)
    return _extent(x, sums, over, lost(exact, half))


def of_groups(x: Wide, axes: Sequence[int], epsilon: float, centred: bool) -> Extent:
    """Sums of squares over axes, and their mean + ε.

    Args:
        x: the layer's input.
        axes: over which it normalizes.
        epsilon: added to the mean square.
        centred: whether the mean is subtracted first.
    """
    axes = tuple(axes)
    deviations = x - x.mean(axis=axes, keepdims=True) if centred else x
    sums = np.square(deviations).sum(axis=axes, keepdims=True)
    terms = x.size / max(sums.size, 1)
    exact = sums / terms + epsilon
    half = rounded(rounded(rounded(sums) / terms) + rounded(epsilon))
    over, under = sums > LARGEST, lost(exact, half)
    return _extent(x, sums, np.broadcast_to(over, x.shape), np.broadcast_to(under, x.shape))


def of_batch_norm(
    scale: Wide, shift: Wide, mean: Wide, variance: Wide, epsilon: float, x: Wide | None = None
) -> Extent:
    """Variances + ε, factors γ/√(σ²+ε), and results if the input is given. Counts channels.

    Args:
        scale, shift, mean, variance: γ, β, μ and σ², each of shape (C,).
        epsilon: ε.
        x: the layer's input, shape (N, C, D1, ...).
    """
    with np.errstate(all="ignore"):
        exact = variance + epsilon
        half = rounded(rounded(variance) + rounded(epsilon))
        factor = scale / np.sqrt(exact)
        beyond = [exact, factor, scale, shift, mean]
        if x is not None:
            channels = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
            extremes = np.stack([channels.min(axis=1), channels.max(axis=1)])
            beyond += [*extremes, *(extremes - mean), *((extremes - mean) * factor + shift)]
        over = np.any(np.abs(beyond) > LARGEST, axis=0)
        under = lost(exact, half) | lost(np.abs(factor), np.abs(rounded(factor)))
    return _extent(x, exact, over, under)


def _extent(x: Wide | None, sums: Wide, over: NDArray[np.bool_], under: NDArray[np.bool_]) -> Extent:
    return Extent(
        elements=over.size,
        max_abs=0.0 if x is None else float(np.max(np.abs(x), initial=0.0)),
        largest=float(np.max(sums, initial=0.0)),
        overflow=int(np.count_nonzero(over)),
        underflow=int(np.count_nonzero(under & ~over)),
    )


def lost(exact: Wide, half: Wide) -> NDArray[np.bool_]:
    """Where a finite result in half precision is further from the exact one than rounding explains.

    Args:
        exact: the results.
        half: the same in half precision.
    """
    with np.errstate(all="ignore"):
        far: NDArray[np.bool_] = np.isfinite(half) & (np.abs(half - exact) > _LOST * np.abs(exact))
    return far


def rounded(value: Any) -> Wide:
    """To float16 and back."""
    with np.errstate(all="ignore"):
        return np.asarray(value, dtype=np.float64).astype(np.float16).astype(np.float64)
