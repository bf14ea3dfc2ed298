"""Is an output right? Judged against the reference, by measured rounding or by a given tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.parallel import Task
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.folded_constants import as_stored
from normdeploy.validation.noise import ONE_RUN_TELLS, RUNS, Arithmetic, RoundingNoise, factor
from normdeploy.validation.row_outputs import Judged, RowGroup, fits
from normdeploy.validation.row_selection import SelectedLengths, row_groups
from normdeploy.validation.stored_weights import rounded_numbers
from normdeploy.validation.tolerance import Tolerance

_PLAINLY_WRONG = 32.0
"""Times what one run allows, where amplified runs are not asked for: to be allowed after all, a single number
would have to move 32 times less in that run than it usually does, as one in forty does."""


@dataclass(frozen=True)
class _Step:
    """How an output is judged by so many runs.

    Args:
        runs: how many.
        right: the largest noise ratio of an output that is right whatever further runs give.
        wrong: the same, of one that is wrong without further runs if a verdict is wanted quickly.
    """

    runs: int
    right: float
    wrong: float


_STEPS = (_Step(1, ONE_RUN_TELLS, _PLAINLY_WRONG), _Step(RUNS, 1.0, 1.0))


Spread = Callable[[Array], Array]
"""Makes of the standard deviations of an output's elements those that count."""


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
            rounded = as_stored(original.model, deployed.model)
            if rounded is not original.model:
                self.right = Evaluator(rounded, keep_weights=True)
            self.numbers = rounded_numbers(deployed.model, rounded)
        self.row_groups = row_groups(deployed.model) if tolerance is None else []
        """Outputs whose rows rounding can add, take away or reorder."""

    def on(self, inputs: Mapping[str, Array], on_node: NodeObserver | None = None) -> Case:
        """The case of one batch, whose right outputs are computed.

        Args:
            inputs: the batch.
            on_node: sees the nodes of the deployed model as the reference computes them.
        """
        case = Case(self, inputs, on_node)
        case.compute(deployed=on_node is not None)
        return case

    def begin(self, inputs: Mapping[str, Array], on_node: NodeObserver | None = None) -> Case:
        """The same, without waiting: helpers compute what every verdict needs.

        Args:
            inputs, on_node: see `on`.
        """
        case = Case(self, inputs, on_node)
        case.begin()
        return case


class Case:
    """One batch of inputs, with what is right for it.

    Args:
        judge: whose.
        inputs, on_node: see `Judge.on`.

    Whatever it needs is computed when it is first asked for, or before that by helpers.
    """

    def __init__(self, judge: Judge, inputs: Mapping[str, Array], on_node: NodeObserver | None) -> None:
        self._judge = judge
        self._inputs = inputs
        self._known: dict[Arithmetic, _Measured] = {}
        self._computed = Task(partial(judge.deployed.run, inputs, on_node=on_node))
        self._expected = self._computed
        if judge.right is not judge.deployed:
            self._expected = Task(partial(judge.right.run, inputs))

    def begin(self) -> None:
        """Let helpers compute what every verdict needs."""
        self._expected.begin()
        self._computed.begin()
        if isinstance(self._allowance, _Measured):
            self._allowance.noise.begin()

    def compute(self, deployed: bool) -> None:
        """Compute the right outputs.

        Args:
            deployed: whether to compute the deployed graph's, too.
        """
        self._expected.result()
        if deployed:
            self._computed.result()

    @property
    def expected(self) -> Mapping[str, Array]:
        """The right outputs by name."""
        return self._expected.result()

    @property
    def computed(self) -> Mapping[str, Array]:
        """What the reference makes of the deployed graph."""
        return self._computed.result()

    @cached_property
    def meant(self) -> Mapping[str, Array]:
        """The outputs of the original as it stands, without any rounding of its weights."""
        judge = self._judge
        return self.expected if judge.right is judge.original else judge.original.run(self._inputs)

    def judge(self, actual: Mapping[str, Array]) -> dict[str, Judged]:
        """Compare outputs with what is right.

        Args:
            actual: what a backend gave.

        Returns:
            By name, those of which it gave the right kind: an array of the right type and shape, unless
            rounding can change how many rows there are.
        """
        return self._judged(actual, self._allowance, self.expected)

    def judge_disturbed(self, disturbed: Mapping[str, Array], quickly: bool = False) -> dict[str, Judged]:
        """Compare outputs of the deployed graph, with an error planted in it, with those without.

        Args:
            disturbed: the outputs with the error; what they may differ by is what a backend's may.
            quickly: without the runs with amplified errors, which allow floating outputs more.
        """
        return self._judged(disturbed, self._allowance, self.computed, quickly)

    def judge_emulated(
        self, actual: Mapping[str, Array], arithmetic: Arithmetic, spread: Spread
    ) -> dict[str, Judged]:
        """Compare what emulated kernels give with what is right.

        Args:
            actual: their outputs.
            arithmetic: the rounding that is allowed, unless the user gives a tolerance.
            spread: makes of the standard deviations of an output those that count.
        """
        judged_by = self._judge.tolerance or self._rounding(arithmetic)
        return self._judged(actual, judged_by, self.expected, spread=spread)

    def compare(self, name: str, actual: Array) -> TensorComparison:
        """Compare one output with what is right; all of it is wrong if it is not of the right kind.

        Args:
            name: of the output.
            actual: what a backend gave.
        """
        return _comparison(name, actual, self.judge({name: actual}))

    def compare_graph(self, name: str) -> TensorComparison:
        """The same, of what the deployed graph itself means; see `graph`."""
        return _comparison(name, self.computed[name], self.graph)

    @cached_property
    def _allowance(self) -> Tolerance | _Measured:
        """What a backend may be off by."""
        return self._judge.tolerance or self._rounding(Arithmetic(self._judge.numbers))

    @cached_property
    def graph(self) -> Mapping[str, Judged]:
        """Compare what the deployed graph itself means, in float64, with what is right.

        Only the rounding of stored weights is allowed then, and the reference's own.
        """
        exact = {
            name: _plain(array, self.expected[name], compare(array, self.expected[name]))
            for name, array in self.computed.items()
            if fits(name, self.computed, self.expected)
        }
        if len(exact) == len(self.expected) and not any(each.comparison.wrong for each in exact.values()):
            return exact
        if self._judge.tolerance is not None:
            return self._judged(self.computed, self._judge.tolerance, self.expected)
        in_float64 = self._measured(Arithmetic(self._judge.numbers, in_float64=True))
        return self._judged(self.computed, in_float64, self.expected)

    def _rounding(self, arithmetic: Arithmetic) -> _Measured:
        """What it does to the outputs, measured once."""
        if arithmetic not in self._known:
            self._known[arithmetic] = self._measured(arithmetic)
        return self._known[arithmetic]

    def _measured(self, arithmetic: Arithmetic) -> _Measured:
        lengths = SelectedLengths()
        judge, exact = self._judge, self._computed.result
        watch = lengths if judge.row_groups else None
        noise = RoundingNoise(judge.deployed, self._inputs, judge.seed, exact, arithmetic, watch)
        return _Measured(noise, [RowGroup(names, exact, noise, lengths.seen) for names in judge.row_groups])

    def _judged(
        self,
        actual: Mapping[str, Array],
        judged_by: Tolerance | _Measured,
        expected: Mapping[str, Array],
        quickly: bool = False,
        spread: Spread = np.asarray,
    ) -> dict[str, Judged]:
        if isinstance(judged_by, Tolerance):
            return {
                name: _plain(actual[name], array, compare(actual[name], array, judged_by.allowed(array)))
                for name, array in expected.items()
                if fits(name, actual, expected)
            }
        noise = judged_by.noise
        steps = _STEPS[1:] if judged_by.groups else _STEPS  # rows need all runs in any case

        def plain(name: str) -> Judged:
            comparison = _compared(name, actual[name], expected[name], noise, steps, spread, quickly)
            return _plain(actual[name], expected[name], comparison)

        found: dict[str, Judged] = {}
        for group in judged_by.groups:
            found |= group.judge(actual, expected, plain)
        grouped = {name for names in self._judge.row_groups for name in names}
        rest = [name for name in expected if name not in grouped and fits(name, actual, expected)]
        return found | {name: plain(name) for name in rest}


def _comparison(name: str, actual: Array, judged: Mapping[str, Judged]) -> TensorComparison:
    if name in judged:
        return judged[name].comparison
    return TensorComparison(actual.size, wrong=actual.size, noise_ratio=math.inf)


@dataclass(frozen=True)
class _Measured:
    """Measured rounding, and the outputs of which it can change the rows."""

    noise: RoundingNoise
    groups: Sequence[RowGroup]


def _plain(actual: Array, expected: Array, comparison: TensorComparison) -> Judged:
    return Judged(comparison, actual, expected)


def _compared(
    name: str,
    actual: Array,
    expected: Array,
    noise: RoundingNoise,
    steps: Sequence[_Step],
    spread: Spread,
    quickly: bool,
) -> TensorComparison:
    if expected.dtype != np.float64:
        found = compare(actual, expected)
        return found if not found.wrong else compare(actual, expected, noise.reach(name))
    for step in steps:
        sigma = spread(noise.expected(name, step.runs))
        allowed = factor(expected.size) * sigma
        found = compare(actual, expected, allowed, sigma)
        if found.noise_ratio <= step.right or (quickly and found.noise_ratio > step.wrong):
            return found
    allowed = np.maximum(allowed, noise.reach(name))
    return compare(actual, expected, allowed, sigma, noise.undefined(name))
