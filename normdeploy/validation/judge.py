"""Is an output right? Judged against the reference, by measured rounding or by a given tolerance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.noise import RoundingNoise, factor
from normdeploy.validation.tolerance import Tolerance


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
        """The case of one batch.

        Args:
            inputs: the batch.
            on_node: sees the nodes of the deployed model as the reference computes them.
        """
        return Case(self._deployed, self._original, self._tolerance, self._seed, inputs, on_node)


class Case:
    """One batch of inputs, with what is right for it: `expected`, the reference's outputs by name.

    Args:
        deployed, original, tolerance, seed: the judge's.
        inputs, on_node: see `Judge.on`.
    """

    def __init__(
        self,
        deployed: Evaluator,
        original: Evaluator,
        tolerance: Tolerance | None,
        seed: int,
        inputs: Mapping[str, Array],
        on_node: NodeObserver | None,
    ) -> None:
        same = original is deployed
        self.expected: Mapping[str, Array] = original.run(inputs, on_node=on_node if same else None)
        exact = self.expected if same else None
        if on_node is not None and not same:
            exact = deployed.run(inputs, on_node=on_node)
        self._judged_by: Tolerance | RoundingNoise = tolerance or RoundingNoise(
            deployed, inputs, seed, exact, other_weights=not same
        )

    def compare(self, name: str, actual: Array) -> TensorComparison:
        """Compare an output with the reference's.

        Args:
            name: of the output.
            actual: what a backend gave, of the reference's shape.
        """
        expected = self.expected[name]
        if isinstance(self._judged_by, Tolerance):
            return compare(actual, expected, self._judged_by.allowed(expected))
        noise = self._judged_by
        if expected.dtype != np.float64:
            found = compare(actual, expected)
            return found if not found.wrong else compare(actual, expected, noise.reach(name))
        sigma = noise.expected(name)
        allowed = factor(expected.size) * sigma
        found = compare(actual, expected, allowed, sigma)
        if not found.wrong:
            return found
        return compare(actual, expected, np.maximum(allowed, noise.reach(name)), sigma)
