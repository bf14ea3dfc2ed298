"""How errors are distributed, in memory that does not grow with the number of elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.dtypes import Array

EDGES: NDArray[np.float64] = np.logspace(-20, 20, 241)
"""The edges of the histogram's bins, 6 for each power of ten."""

SAMPLE = 2000
"""How many elements are kept: enough to fill a scatter plot, which then takes 240 kB of a page."""

_SEED = 0
"""Of the sample: the same data gives the same page."""


@dataclass
class Distribution:
    """A histogram of |actual − expected|, and a fair sample of both, over all elements so far.

    Each element gets a random number, and those with the smallest are kept: every element has the same
    chance, however many come later.

    Args:
        counts: errors in each bin of EDGES; beyond its ends they count in the outermost bins.
        exact: errors of 0.
        elements: finite ones, all together.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EDGES) - 1, np.int64))
    exact: int = 0
    elements: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(_SEED)
        self._sample = np.empty((3, 0))

    def add(self, actual: Array, expected: Array) -> None:
        """Count two floating arrays of the same shape; what is not finite in both is left out."""
        got, right = actual.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
        finite = np.isfinite(got) & np.isfinite(right)
        if not finite.all():
            got, right = got[finite], right[finite]
        errors = np.abs(got - right)
        self.elements += errors.size
        errors = errors[errors > 0]
        self.exact += got.size - errors.size
        bins = np.searchsorted(EDGES, errors, side="right") - 1
        self.counts += np.bincount(bins.clip(0, len(EDGES) - 2), minlength=len(EDGES) - 1)
        self._take(right, got)

    @property
    def sample(self) -> tuple[Array, Array]:
        """The reference's and the backend's values of the same elements."""
        return self._sample[1], self._sample[2]

    def _take(self, right: Array, got: Array) -> None:
        keys = self._rng.random(right.size)
        chosen: Any = slice(None)
        if right.size > SAMPLE:
            chosen = np.argpartition(keys, SAMPLE)[:SAMPLE]
        pool = np.hstack([self._sample, np.stack([keys[chosen], right[chosen], got[chosen]])])
        if pool.shape[1] > SAMPLE:
            pool = pool[:, np.argpartition(pool[0], SAMPLE)[:SAMPLE]]
        self._sample = pool
