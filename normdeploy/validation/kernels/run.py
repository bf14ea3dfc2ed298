"""The question about kernels while a check goes through its samples, and the answer."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.choices import BACKEND_NAMES, KERNELS
from normdeploy.dtypes import Array
from normdeploy.errors import UnsupportedOperator, UsageError
from normdeploy.graph.scopes import node_name
from normdeploy.inputs.samples import Batch
from normdeploy.kernels import CHOICES, MadeFor
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.judge import Case
from normdeploy.validation.kernels.result import Culprit, Kernels, KernelVerdict, Tried
from normdeploy.validation.kernels.trial import Seen, Trial, computed
from normdeploy.validation.kernels.witness import Concerned, Overflows, Sighting, Witness

_SUSPECTS = 8
"""Nodes that are tried alone, at most."""

_NAMED = 3
"""Nodes that are named, at most."""

Made = tuple[MadeFor, ...]


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
        self._backends = backends
        self._concerned = Concerned(CHOICES)
        self._overflows = Overflows()
        self._best = Trial((), examinee)
        self._trials: dict[Made, Trial] = {}

    @property
    def alive(self) -> bool:
        """It goes on to the last batch."""
        return bool(self._backends)

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Compute one batch with the best kernels, and with every choice.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them.
            scores: the output that holds class scores, where classes are compared.
            predicted: the reference's classes, likewise.
        """
        if not self._backends:
            return
        seen = Seen(batch, case, scores, predicted)
        restart_clock()
        self._best.judge(seen, self._look)
        for made in dict.fromkeys(made for backend in self._backends for made in self._singles(backend)):
            self._trial(made).judge(seen)
        for made in dict.fromkeys(map(self._together, self._backends)):
            if len(made) > 1 and not any(self._trials[each,].failed for each in made):
                self._trial(made).judge(seen)

    def result(self, reference_accuracy: float | None) -> Kernels | None:
        """What became of it; None if nothing was asked.

        Args:
            reference_accuracy: the reference's accuracy, with labels.
        """
        if not self._backends:
            return None
        best = self._best.conclusion(reference_accuracy)
        if best.wrong:
            nodes = self._broken()
            return Kernels(
                [KernelVerdict(backend, "broken", best.reason, nodes) for backend in self._backends]
            )
        tried = {made: self._tried(made, trial, reference_accuracy) for made, trial in self._trials.items()}
        culprits = {
            made: self._culprits(self._trials[made]) for made, each in tried.items() if not each.passed
        }
        return Kernels([self._verdict(backend, tried, culprits) for backend in self._backends])

    def _look(self, *seen: object) -> None:
        self._concerned.on_kernel(*seen)  # type: ignore[arg-type]
        self._overflows.on_kernel(*seen)  # type: ignore[arg-type]

    def _together(self, backend: str) -> Made:
        """Its choices that concern the model on the data so far, each with the operators that there are."""
        found = []
        for choice in CHOICES:
            maker = choice.makers.get(backend)
            if maker is not None and self._concerned.nodes[choice]:
                present = maker.operators & self._concerned.operators
                if present or not maker.operators:
                    found.append(MadeFor(choice, present))
        return tuple(found)

    def _singles(self, backend: str) -> list[Made]:
        """Each of its choices by itself."""
        return [(made,) for made in self._together(backend)]

    def _trial(self, made: Made) -> Trial:
        restart_clock()
        return self._trials.setdefault(made, Trial(made, self._examinee))

    def _tried(self, made: Made, trial: Trial, reference_accuracy: float | None) -> Tried:
        found = trial.conclusion(reference_accuracy)
        name = made[0].choice.name if len(made) == 1 else "together"
        return Tried(name, not found.wrong, found.reason if found.wrong else "", trial.noise_ratio)

    def _verdict(
        self, backend: str, tried: dict[Made, Tried], culprits: dict[Made, list[Culprit]]
    ) -> KernelVerdict:
        singles = self._singles(backend)
        together = self._together(backend)
        results = [tried[key] for key in dict.fromkeys([*singles, together]) if key in tried]
        failed = [key for key in singles if not tried[key].passed]
        if not failed and together in tried and not tried[together].passed:
            failed = [together]
        if not failed:
            names = ", ".join(made.choice.name for made in together)
            reason = f"right with {names}" if names else "no choice of its kernels concerns this model"
            return KernelVerdict(backend, "safe", reason, (), results)
        nodes = list(dict.fromkeys(culprit for key in failed for culprit in culprits[key]))
        names = ", ".join(tried[key].name for key in failed)
        worst = max(failed, key=lambda key: tried[key].noise_ratio)
        return KernelVerdict(backend, "depends", f"not with {names}: {tried[worst].reason}", nodes, results)

    def _broken(self) -> list[Culprit]:
        """The nodes whose results leave their type with any kernel, the first ones."""
        ratio = self._best.noise_ratio
        return [
            Culprit(node_name(node), node.op_type, "", str(sighting), False, ratio)
            for node, sighting in list(self._overflows.seen.items())[:_NAMED]
        ]

    def _culprits(self, trial: Trial) -> list[Culprit]:
        """The nodes for which alone the choice is too much; if there are none, those that it changes most."""
        if trial.worst is None:
            return []
        witness = Witness()
        restart_clock()
        computed(self._examinee.deployed, trial.worst, trial.made, witness.on_kernel)
        changed = [node for node, sighting in witness.seen.items() if any(sighting.badness)]
        suspects = sorted(changed, key=lambda node: witness.seen[node].badness, reverse=True)
        found = []
        for node in suspects[:_SUSPECTS]:
            for made in trial.made:
                if made.choice.operators and node.op_type not in made.operators:
                    continue
                wrong, ratio = trial.alone(node, made)
                if wrong:
                    found.append(_culprit(node, made.choice.name, witness.seen[node], True, ratio))
            if len(found) >= _NAMED:
                return found[:_NAMED]
        name = trial.made[0].choice.name if len(trial.made) == 1 else "together"
        return found or [
            _culprit(node, name, witness.seen[node], False, trial.noise_ratio) for node in suspects[:_NAMED]
        ]


def _culprit(node: ir.Node, choice: str, sighting: Sighting, alone: bool, ratio: float) -> Culprit:
    return Culprit(node_name(node), node.op_type, choice, str(sighting), alone, ratio)
