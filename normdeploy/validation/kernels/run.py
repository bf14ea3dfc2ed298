"""The question about kernels while a check goes through its samples, and the answer."""

from __future__ import annotations

from collections.abc import Sequence

from normdeploy.budget import restart_clock
from normdeploy.choices import BACKEND_NAMES, KERNELS
from normdeploy.dtypes import Array
from normdeploy.errors import UnsupportedOperator, UsageError
from normdeploy.inputs.samples import Batch
from normdeploy.kernels.arithmetic import KernelResults
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.judge import Case
from normdeploy.validation.kernels.blame import culprits, overflowing
from normdeploy.validation.kernels.parts import Kept
from normdeploy.validation.kernels.plan import Made, Plan
from normdeploy.validation.kernels.result import Culprit, Kernels, KernelVerdict, Tried
from normdeploy.validation.kernels.trial import Seen, Trial
from normdeploy.validation.kernels.witness import Overflows


def asked_about(kernels: str, backends: Sequence[str] | None) -> Sequence[str]:
    """The backends about whose kernels it is to be asked.

    Args:
        kernels: "here" for none, "any" for those that were named, or all.
        backends: those that were named.

    Raises:
        UsageError: another word.
    """
    if kernels not in KERNELS:
        raise UsageError(f"kernels must be {' or '.join(KERNELS)}, got {kernels!r}")
    return () if kernels == "here" else list(dict.fromkeys(backends or BACKEND_NAMES))


class KernelRun:
    """It stands where a backend's run does.

    Args:
        examinee: whose model it is.
        backends: by name, about whose kernels it is asked; none to ask nothing.

    Raises:
        UnsupportedOperator: the reference cannot compute the deployed graph.
    """

    def __init__(self, examinee: Examinee, backends: Sequence[str]) -> None:
        if backends and not examinee.is_computable:
            raise UnsupportedOperator(
                "kernels are emulated by the reference, and it cannot compute the deployed graph: "
                "leave out --kernels any"
            )
        self._examinee = examinee
        self._plan = Plan(examinee.deployed.model.graph, backends)
        self._overflows = Overflows()
        self._best = Trial((), examinee)
        self._trials: dict[Made, Trial] = {}

    @property
    def alive(self) -> bool:
        """It goes on to the last batch."""
        return bool(self._plan.backends)

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Compute one batch with the best kernels, and with every choice.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them.
            scores: the output that holds class scores, where classes are compared.
            predicted: the reference's classes, likewise.
        """
        if not self.alive:
            return
        seen, kept = Seen(batch, case, scores, predicted), Kept(self._plan.wanted)
        restart_clock()
        self._best.judge(seen, on_kernel=self._look, on_node=kept.on_node)
        for made in self._plan.singles:
            self._try(made, seen, kept)
        for made in self._plan.together:
            if not any(self._trials[each,].failed for each in made):
                self._try(made, seen, kept)

    def result(self, reference_accuracy: float | None) -> Kernels | None:
        """What became of it; None if nothing was asked.

        Args:
            reference_accuracy: the reference's accuracy, with labels.
        """
        if not self.alive:
            return None
        backends, best = self._plan.backends, self._best.conclusion(reference_accuracy)
        if best.wrong:
            nodes = overflowing(self._overflows, self._best.noise_ratio)
            return Kernels([KernelVerdict(backend, "broken", best.reason, nodes) for backend in backends])
        tried = {made: _tried(trial, reference_accuracy) for made, trial in self._trials.items()}
        evaluator = self._examinee.deployed
        blamed = {
            made: culprits(self._trials[made], evaluator, self._plan)
            for made, each in tried.items()
            if not each.passed
        }
        return Kernels([self._verdict(backend, tried, blamed) for backend in backends])

    def _look(self, results: KernelResults) -> None:
        self._plan.concerned.on_kernel(results)
        self._overflows.on_kernel(results)

    def _try(self, made: Made, seen: Seen, kept: Kept) -> None:
        restart_clock()
        trial = self._trials.setdefault(made, Trial(made, self._examinee))
        trial.judge(seen, given=kept.of(self._plan.borders(made)))

    def _verdict(
        self, backend: str, tried: dict[Made, Tried], blamed: dict[Made, list[Culprit]]
    ) -> KernelVerdict:
        together = self._plan.of(backend)
        singles: list[Made] = [(made,) for made in together]
        results = [tried[key] for key in dict.fromkeys([*singles, together]) if key in tried]
        failed = [key for key in singles if not tried[key].passed]
        if not failed and together in tried and not tried[together].passed:
            failed = [together]
        if not failed and self._best.shows_nothing:
            reason = "no output has a finite number on these inputs, and nothing could be compared"
            return KernelVerdict(backend, "unknown", reason, (), results)
        if not failed:
            names = ", ".join(made.choice.name for made in together)
            reason = f"right with {names}" if names else "no choice of its kernels concerns this model"
            return KernelVerdict(backend, "safe", reason, (), results)
        nodes = list(dict.fromkeys(culprit for key in failed for culprit in blamed[key]))
        names = ", ".join(tried[key].name for key in failed)
        worst = max(failed, key=lambda key: tried[key].noise_ratio)
        return KernelVerdict(backend, "depends", f"not with {names}: {tried[worst].reason}", nodes, results)


def _tried(trial: Trial, reference_accuracy: float | None) -> Tried:
    found = trial.conclusion(reference_accuracy)
    return Tried(trial.name, not found.wrong, found.reason if found.wrong else "", trial.noise_ratio)
