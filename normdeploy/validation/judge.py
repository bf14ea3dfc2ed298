"""Is an output right? Judged against the reference, by measured rounding or by a given tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.noise import Arithmetic, RoundingNoise, factor
from normdeploy.validation.stored_weights import rounded_numbers, with_rounded_weights
from normdeploy.validation.tolerance import Tolerance


class Judge:
    """Judges the outputs of one deployed model.

    Args:
        deployed: the model that backends run; the types of its tensors say how they round.
        original: the model that is right, often the same evaluator.
        tolerance: the user's own; None to measure what rounding does. Then weights of the original that the
            deployed file holds rounded are rounded first, and others that it does not hold may be off by
            their rounding.
        seed: of the random errors in that measurement.
    """

    def __init__(
        self, deployed: Evaluator, original: Evaluator, tolerance: Tolerance | None = None, seed: int = 0
    ) -> None:
        self.deployed = deployed
        self.original = original
        self.tolerance = tolerance
        self.seed = seed
        self.right = original
        """Computes what is right: the original, with weights rounded as the deployed file holds them."""
        self.numbers = RoundedNumbers()
        """Those of the deployed file that may be off by a rounding."""
        if original is not deployed and tolerance is None:
            rounded = with_rounded_weights(original.model, deployed.model)
            if rounded is not original.model:
                self.right = Evaluator(rounded, keep_weights=True)
            self.numbers = rounded_numbers(deployed.model, rounded)

    def on(self, inputs: Mapping[str, Array], on_node: NodeObserver | None = None) -> Case:
        """The case of one batch.

        Args:
            inputs: the batch.
            on_node: sees the nodes of the deployed model as the reference computes them.
        """
        return Case(self, inputs, on_node)


class Case:
    """One batch of inputs, with what is right for it.

    Args:
        judge: whose.
        inputs, on_node: see `Judge.on`.

    Attributes:
        expected: the right outputs by name.
    """

    def __init__(self, judge: Judge, inputs: Mapping[str, Array], on_node: NodeObserver | None) -> None:
        self._judge = judge
        self._inputs = inputs
        same = judge.right is judge.deployed
        self.expected: Mapping[str, Array] = judge.right.run(inputs, on_node=on_node if same else None)
        if same:
            self.computed = self.expected
        elif on_node is not None:
            self.computed = judge.deployed.run(inputs, on_node=on_node)
        self._judged_by: Tolerance | RoundingNoise = judge.tolerance or RoundingNoise(
            judge.deployed, inputs, judge.seed, self.computed, Arithmetic(judge.numbers)
        )

    @cached_property
    def computed(self) -> Mapping[str, Array]:
        """What the reference makes of the deployed graph."""
        return self._judge.deployed.run(self._inputs)

    @cached_property
    def meant(self) -> Mapping[str, Array]:
        """The outputs of the original as it stands, without any rounding of its weights."""
        judge = self._judge
        return self.expected if judge.right is judge.original else judge.original.run(self._inputs)

    @cached_property
    def _rounding_of_graph(self) -> RoundingNoise:
        judge = self._judge
        arithmetic = Arithmetic(judge.numbers, in_float64=True)
        return RoundingNoise(judge.deployed, self._inputs, judge.seed, self.computed, arithmetic)

    def compare(self, name: str, actual: Array) -> TensorComparison:
        """Compare an output with what is right.

        Args:
            name: of the output.
            actual: what a backend gave, of the reference's shape.
        """
        return _judged(name, actual, self.expected[name], self._judged_by)

    def compare_graph(self, name: str) -> TensorComparison:
        """Compare what the deployed graph makes of an output in float64 with what is right.

        Only the rounding of stored weights is allowed then, and the reference's own.

        Args:
            name: of the output, of the same shape in both.
        """
        actual, expected = self.computed[name], self.expected[name]
        if self._judge.tolerance is not None:
            return _judged(name, actual, expected, self._judge.tolerance)
        found = compare(actual, expected)
        return found if not found.wrong else _judged(name, actual, expected, self._rounding_of_graph)


def _judged(
    name: str, actual: Array, expected: Array, judged_by: Tolerance | RoundingNoise
) -> TensorComparison:
    if isinstance(judged_by, Tolerance):
        return compare(actual, expected, judged_by.allowed(expected))
    if expected.dtype != np.float64:
        found = compare(actual, expected)
        return found if not found.wrong else compare(actual, expected, judged_by.reach(name))
    sigma = judged_by.expected(name)
    allowed = factor(expected.size) * sigma
    found = compare(actual, expected, allowed, sigma)
    if not found.wrong:
        return found
    allowed = np.maximum(allowed, judged_by.reach(name))
    return compare(actual, expected, allowed, sigma, judged_by.undefined(name))
