"""A few choices, made for every node that they concern, on every batch of a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.inputs.samples import Batch
from normdeploy.kernels import KernelArithmetic, MadeFor
from normdeploy.kernels.arithmetic import OnKernel
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.validation.accuracy import predicted_classes
from normdeploy.validation.compared_outputs import ComparedOutputs, Conclusion
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.judge import Case
from normdeploy.validation.kernels.allowance import KernelRounding, usual
from normdeploy.validation.localize.submodels import as_declared
from normdeploy.validation.noise import Arithmetic
from normdeploy.validation.report import show_nothing
from normdeploy.validation.row_outputs import Judged


@dataclass(frozen=True)
class Seen:
    """A batch of the check, and all that is needed to judge what is made of it.

    Args:
        batch: the inputs, and the labels if there are any.
        case: what is right for them.
        scores: the output that holds class scores, where classes are compared.
        predicted: the reference's classes, likewise.
    """

    batch: Batch
    case: Case
    scores: str | None
    predicted: Array | None


class Trial:
    """Adds up what becomes of the outputs, batch by batch.

    Args:
        made: the choices; none for the best kernel.
        examinee: whose model it is.
    """

    def __init__(self, made: Sequence[MadeFor], examinee: Examinee) -> None:
        self.made = tuple(made)
        self._examinee = examinee
        self._compared = ComparedOutputs()
        self._most = (0, 0.0)
        self.worst: Seen | None = None
        """The first batch that is wrong; with a gate, that with the most flips."""

    def judge(
        self,
        seen: Seen,
        *,
        given: Mapping[str, Array] | None = None,
        on_kernel: OnKernel | None = None,
        on_node: NodeObserver | None = None,
    ) -> None:
        """Look at one batch.

        Args:
            seen: the batch.
            given, on_kernel, on_node: see `computed`.
        """
        actual = computed(
            self._examinee.deployed, seen, self.made, given=given, on_kernel=on_kernel, on_node=on_node
        )
        judged = self._judged(seen, actual)
        self._compared.add(seen.batch, judged, actual, seen.case.expected)
        self._compared.count_classes(seen.batch, actual, seen.scores, seen.predicted)
        if self._examinee.gate is not None:
            score = (flips(seen, actual), 0.0)
        elif self.worst is None:
            score = (int(is_wrong(seen, judged)), 0.0)
        else:
            return
        if score > self._most:
            self._most, self.worst = score, seen

    def alone(self, node: ir.Node, choice: MadeFor, given: Mapping[str, Array]) -> tuple[bool, float]:
        """Make one choice for one node, on the worst batch.

        Args:
            node: which.
            choice: one of this trial's.
            given: see `computed`.

        Returns:
            Whether that is too much, and the largest error over what is allowed.
        """
        assert self.worst is not None
        restart_clock()
        single = MadeFor(choice.choice, choice.operators, frozenset((node,)))
        actual = computed(self._examinee.deployed, self.worst, [single], given=given)
        judged = self._judged(self.worst, actual)
        if self._examinee.gate is not None:
            return flips(self.worst, actual) > 0, noise_ratio(judged)
        return is_wrong(self.worst, judged), noise_ratio(judged)

    def conclusion(self, reference_accuracy: float | None) -> Conclusion:
        """Whether the outputs are right.

        Args:
            reference_accuracy: the reference's accuracy, with labels.
        """
        examinee = self._examinee
        return self._compared.conclusion(examinee.samples.labelled, examinee.gate, reference_accuracy)

    @property
    def name(self) -> str:
        """Of the choice, or "together"."""
        return self.made[0].choice.name if len(self.made) == 1 else "together"

    @property
    def failed(self) -> bool:
        """Whether a number has been wrong so far."""
        return self._compared.wrong_on is not None

    @property
    def shows_nothing(self) -> bool:
        """Whether no output has had a finite number so far."""
        return show_nothing(self._compared.reports)

    @property
    def noise_ratio(self) -> float:
        """Largest error over what is allowed so far."""
        return max((output.comparison.noise_ratio for output in self._compared.reports), default=0.0)

    def _judged(self, seen: Seen, actual: Mapping[str, Array]) -> dict[str, Judged]:
        """Compare outputs with what is right; a choice that rounds to a shorter type is allowed that."""
        judge = self._examinee.judge
        shorter = tuple(made for made in self.made if made.choice.rounds_to is not None)
        allowed = KernelRounding(judge.numbers, made=shorter) if shorter else Arithmetic(judge.numbers)
        with np.errstate(all="ignore"):
            return seen.case.judge_emulated(actual, allowed, usual)


def computed(
    evaluator: Evaluator,
    seen: Seen,
    made: Sequence[MadeFor] = (),
    *,
    given: Mapping[str, Array] | None = None,
    on_kernel: OnKernel | None = None,
    on_node: NodeObserver | None = None,
) -> dict[str, Array]:
    """The outputs of a model as kernels give them, in the types that they have.

    Args:
        evaluator: of the model.
        seen: a batch.
        made: the choices.
        given: tensors with the best kernels, where the choices change nothing before them.
        on_kernel: sees each node, and what its kernel does.
        on_node: sees the outputs of each node of the main graph.
    """
    outputs = evaluator.run(
        seen.batch.inputs, on_node=on_node, rounding=KernelArithmetic(made, on_kernel), given=given
    )
    types = {str(value.name): value.dtype for value in evaluator.model.graph.outputs}
    return {name: as_declared(array, types[name]) for name, array in outputs.items()}


def is_wrong(seen: Seen, judged: Mapping[str, Judged]) -> bool:
    """Whether any output is."""
    missing = len(judged) != len(seen.case.expected)
    return missing or any(each.comparison.wrong for each in judged.values())


def noise_ratio(judged: Mapping[str, Judged]) -> float:
    """Largest error over what is allowed."""
    return max((each.comparison.noise_ratio for each in judged.values()), default=0.0)


def flips(seen: Seen, actual: Mapping[str, Array]) -> int:
    """How many samples have another class than in the reference; 0 where classes are not compared."""
    if seen.scores is None or seen.predicted is None:
        return 0
    classes = predicted_classes(actual, seen.scores, seen.batch.samples)
    return int(np.count_nonzero(classes != seen.predicted))
