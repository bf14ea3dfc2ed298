"""All backends of a check, and what is said of them together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from normdeploy.backends.catalog import Backend
from normdeploy.validation.backend_run import BackendRun
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.graphs import Graphs
from normdeploy.validation.localize import Localization, by_rounding, runner, search_divergence
from normdeploy.validation.quantization import is_quantized, output_steps, with_unoptimized
from normdeploy.validation.report import BackendReport
from normdeploy.validation.stream import Progress

_NOT_SEARCHED = "no node was searched: the reference cannot compute the deployed graph"


class BackendRuns:
    """Each backend runs in a process of its own; leaving the context ends them.

    A quantized model also runs without optimizations in those that can be told to.

    Args:
        examinee: what they run.
        backends: which.
        requested: whether they were asked for by name.
    """

    def __init__(self, examinee: Examinee, backends: Sequence[Backend], requested: bool) -> None:
        self._examinee = examinee
        self._backends = backends
        self.quantized = is_quantized(examinee.deployed.model)
        self._runs = [BackendRun(backend, requested) for backend in backends]
        self._plain: dict[BackendRun, BackendRun] = {}
        if self.quantized:
            variants = {run: backend.unoptimized() for run, backend in zip(self._runs, backends, strict=True)}
            self._plain = {
                run: BackendRun(variant, requested=False) for run, variant in variants.items() if variant
            }
        self._stack = ExitStack()

    def __enter__(self) -> BackendRuns:
        for run in self.all:
            self._stack.enter_context(run)
            run.start(self._examinee.path, self._examinee.timeout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def all(self) -> list[BackendRun]:
        """Every run, those without optimizations last."""
        return [*self._runs, *self._plain.values()]

    @property
    def alive(self) -> list[tuple[Backend, bool]]:
        """The backends that can still give results, each with whether its numbers are right so far."""
        runs = zip(self._backends, self._runs, strict=True)
        return [(backend, run.wrong_on is None) for backend, run in runs if run.alive]

    @property
    def against(self) -> str | None:
        """The reference, in words; None if it is the model itself."""
        return "the reference" if self._examinee.has_reference else None

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the model."""
        against = self.against or "its own graph in float64"
        return [f"the model is quantized, and held against {against}"] if self.quantized else []

    def reports(self, reference_accuracy: float | None) -> list[BackendReport]:
        """What became of each backend.

        Args:
            reference_accuracy: the reference's accuracy, with labels.
        """
        labelled, gate = self._examinee.samples.labelled, self._examinee.gate
        reports = [run.report(labelled, gate, reference_accuracy) for run in self._runs]
        if not self.quantized:
            return reports
        plain = [
            self._plain[run].report(labelled=False) if run in self._plain else None for run in self._runs
        ]
        steps = output_steps(self._examinee.deployed.model)
        return [
            with_unoptimized(report, other, steps, self.against)
            for report, other in zip(reports, plain, strict=True)
        ]

    def localized(
        self, reports: Sequence[BackendReport], graphs: Graphs | None, progress: Progress | None
    ) -> list[BackendReport]:
        """The same reports, with the first wrong node of each backend whose numbers are wrong.

        Args:
            reports: in the order of the backends.
            graphs: a wrong node that was found in the graph itself is wrong in the backends too.
            progress: is told how many nodes have been looked at.
        """
        examinee = self._examinee
        judgement = by_rounding(examinee.seed)
        in_graph = graphs.localization if graphs is not None else None
        found = []
        for run, backend, report in zip(self._runs, self._backends, reports, strict=True):
            if run.wrong_on is not None and in_graph is not None and in_graph.first is not None:
                report = replace(report, localization=in_graph)
            elif run.wrong_on is not None and not examinee.is_computable:
                report = replace(report, localization=Localization(None, remarks=[_NOT_SEARCHED]))
            elif run.wrong_on is not None:
                localization = search_divergence(
                    examinee.deployed.model,
                    examinee.original.model,
                    run.wrong_on,
                    runner(backend, examinee.timeout),
                    judgement,
                    progress,
                )
                report = replace(report, localization=localization)
            found.append(report)
        return found
