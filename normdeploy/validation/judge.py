"""Is an output right? Judged against the reference, by measured rounding or by a given tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.validation.compare import Comparison, compare
from normdeploy.validation.noise import RoundingNoise, factor
from normdeploy.validation.tolerance import Tolerance

Array = NDArray[Any]


class Judge:
    """Judges the outputs of one deployed model.

    Args:
        deployed: the model that backends run; the types of its tensors say how they round.
        original: the model that is right, often the same evaluator.
        tolerance: the user's own; None to measure what rounding does.
        seed: of the random errors in that measurement.
    """

    def __init__(
        self, deployed: Evaluator, original: Evaluator, tolerance: Tolerance | None = None, seed: int = 0
    ) -> None:
        self._deployed = deployed
        self._original = original
        self._tolerance = tolerance
        self._seed = seed

    def on(self, inputs: Mapping[str, Array], on_node: NodeObserver | None = None) -> Case:
        """The case of one batch of inputs; `on_node` sees the deployed model computed in the reference."""
        return Case(self._deployed, self._original, self._tolerance, self._seed, inputs, on_node)


class Case:
    """One batch of inputs, with what is right for it."""

    def __init__(
        self,
        deployed: Evaluator,
        original: Evaluator,
        tolerance: Tolerance | None,
        seed: int,
        inputs: Mapping[str, Array],
        on_node: NodeObserver | None,
    ) -> None:
        self._deployed = deployed
        self._tolerance = tolerance
        self._seed = seed
        self._inputs = inputs
        same = original is deployed
        self.expected: Mapping[str, Array] = original.run(inputs, on_node=on_node if same else None)
        self._exact = self.expected if same else None
        self._other_weights = not same
        if on_node is not None and not same:
            self._exact = deployed.run(inputs, on_node=on_node)

    def compare(self, name: str, actual: Array) -> Comparison:
        """Compare an output of the reference's shape with the reference's."""
        expected = self.expected[name]
        if self._tolerance is not None:
            return compare(actual, expected, self._tolerance.allowed(expected))
        if expected.dtype != np.float64:
            found = compare(actual, expected)
            return found if not found.wrong else compare(actual, expected, self._noise.reach(name))
        sigma = self._noise.expected(name)
        allowed = factor(expected.size) * sigma
        found = compare(actual, expected, allowed, sigma)
        if not found.wrong:
            return found
        return compare(actual, expected, np.maximum(allowed, self._noise.reach(name)), sigma)

    @cached_property
    def _noise(self) -> RoundingNoise:
        return RoundingNoise(self._deployed, self._inputs, self._seed, self._exact, self._other_weights)
