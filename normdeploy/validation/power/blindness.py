"""Which outputs can't show an error: one more run of the reference with every layer a little wrong.

Each layer's output is multiplied by 1 ± 1 % per channel, with random signs. Where that is not seen, each
element has a sign of its own: a normalization by hand takes out what a channel has in common. An output is
blind if no batch would have been called wrong, by what a backend's outputs are judged by. Each output is
looked at until it has shown the error once. A batch for which the outputs are what they were for one that did
not show it is taken to be as blind.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import BudgetExceeded, ModelError
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.inputs.samples import Batch
from normdeploy.validation.judge import Case, Judge
from normdeploy.validation.power.judging import judge_as_given, largest_ratio
from normdeploy.validation.power.layers import outputs_behind
from normdeploy.validation.power.reasons import Looks, why_blind
from normdeploy.validation.power.result import Blind
from normdeploy.validation.power.walk import Cuts, outputs_with_errors
from normdeploy.validation.row_outputs import Judged

ERROR = 0.01

_CLEARLY = 1.7
"""Times what a measurement without amplified errors allows; with them it allows so much more on average.
Eight more runs in each check would be a high price for the difference: only what lies in between has them."""

_SAME = 1e-6
"""Relative to each number: what an output of one batch may differ by from one that is the same. Softmaxes
that saturate, dead ReLUs and inputs that get lost on the way give the same numbers again and again."""

_REMEMBERED = 16
"""Batches whose outputs are compared with those that follow."""


@dataclass(frozen=True)
class Telling:
    """A batch, and how clearly it shows an error.

    Args:
        inputs: of the batch.
        case: what is right for them, and what outputs may be off by.
        ratio: the outputs' largest change / allowed change with the error in every layer.
    """

    inputs: Mapping[str, Array]
    case: Case
    ratio: float


class Blindness:
    """Looks at the batches beside the backends.

    Args:
        judge: of the backends' outputs.
        kept: how many batches to keep for further measurements: those in which the error shows most.
    """

    alive = False
    """It asks for no batches of its own."""

    def __init__(self, judge: Judge, kept: int = 0) -> None:
        self._judge = judge
        self._kept = kept
        self.cuts = Cuts(judge.deployed.model)
        self.telling: list[Telling] = []
        """The batches that are kept, the most telling first."""
        self._outputs = {str(value.name): value for value in judge.deployed.model.graph.outputs}
        reached = outputs_behind(judge.deployed.model, self.cuts.layers)
        self._looks = {name: Looks() for name in self._outputs if name in reached}
        self._batches = 0
        self._seen: deque[dict[str, Array]] = deque(maxlen=_REMEMBERED)
        """Of batches that were looked at, the outputs that did not show the error."""

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Look at one batch, if an output has not shown the error yet, or to see how telling the batch is.

        Args:
            batch: the inputs.
            case: what is right for them, and what outputs may be off by.
            scores, predicted: not needed.
        """
        seed = [self._judge.seed, self._batches]
        self._batches += 1
        names = list(self._outputs if self._kept else self._looks)
        if not names or (not self._kept and self._looks_familiar(case)):
            return
        restart_clock()
        try:
            ratio = self._look(batch, case, names, seed)
            if self._looks:
                ratio = max(ratio, self._look(batch, case, list(self._looks), seed, per_element=True))
        except BudgetExceeded:
            raise
        except ModelError:  # sizes that are computed no longer fit: nobody would miss that
            self._looks = {}
            ratio = math.inf
        if self._looks and not self._kept:
            self._seen.append({name: case.computed[name] for name in self._looks})
        self._keep(Telling(batch.inputs, case, ratio))

    def _look(
        self, batch: Batch, case: Case, names: Sequence[str], seed: Sequence[int], per_element: bool = False
    ) -> float:
        """Put an error in every layer, and forget the outputs that show it; the largest ratio of all."""
        disturbed = outputs_with_errors(
            self._judge.deployed, self.cuts, batch.inputs, ERROR, seed, per_element=per_element
        )
        judged = judge_as_given(case, {name: disturbed[name] for name in names}, self._outputs, quickly=True)
        unsure = {name for name in self._looks if name in judged and _is_unsure(judged[name])}
        if unsure:
            judged |= judge_as_given(case, disturbed, self._outputs)
        for name in list(self._looks):
            if name not in judged or judged[name].comparison.wrong:
                del self._looks[name]
            else:
                array = case.computed[name]
                self._looks[name].add(array, disturbed[name], judged[name].comparison.noise_ratio)
        return largest_ratio(judged, names)

    def _looks_familiar(self, case: Case) -> bool:
        """Whether one of the batches before gave the same in all outputs that have yet to show the error."""
        return any(
            all(_is_same(before[name], case.computed[name]) for name in self._looks) for before in self._seen
        )

    def _keep(self, telling: Telling) -> None:
        self.telling = sorted([*self.telling, telling], key=lambda each: -each.ratio)[: self._kept]

    def result(self) -> list[Blind]:
        """The outputs that have not shown the error in any batch; none without batches."""
        constants = ConstantAnalysis(self._judge.deployed.model)
        measured = self._judge.tolerance is None
        allows_it = "rounding may move it" if measured else "the tolerance allows"
        found = []
        for name, value in self._outputs.items() if self._batches else ():
            if name in self._looks:
                found.append(Blind(name, why_blind(value, self._looks[name], allows_it)))
            elif constants.is_constant(value):
                found.append(Blind(name, "it depends on no input"))
        return found


def _is_same(before: Array, array: Array) -> bool:
    if before.shape != array.shape or not is_floating(array.dtype):
        return np.array_equal(before, array)
    return np.allclose(before, array, rtol=_SAME, atol=0, equal_nan=True)


def _is_unsure(judged: Judged) -> bool:
    """Whether an output would be called wrong unless amplified errors explain it."""
    found = judged.comparison
    measured = found.expected_rounding is not None
    return measured and found.wrong > 0 and found.noise_ratio <= _CLEARLY
