"""One backend during a check: its process, its failures, and what has been compared so far."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from normdeploy.backends.catalog import Backend
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import BackendFailure
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.samples import Batch
from normdeploy.validation.accuracy import Tally, predicted_classes
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.gate import Gate
from normdeploy.validation.judge import Case
from normdeploy.validation.report import BackendReport, GateOutcome, OutputReport, Status

_MEANINGLESS = 0.1
"""Expected rounding, as a share of an output's root mean square, above which a verdict says little. What is
allowed is `factor` times as much: at 0.1, an error has to exceed 43 % of the output's size to be seen in an
output of one element, and 68 % in one of a million."""


class BackendRun:
    """Use it as a context manager: leaving it ends the backend's process.

    Args:
        backend: which one.
        requested: whether it was asked for by name.
    """

    def __init__(self, backend: Backend, requested: bool) -> None:
        self._backend = backend
        self._requested = requested
        self._session: WorkerSession | None = None
        self._loaded = False
        self._seconds = 0.0
        self._failure: BackendFailure | None = None
        self._outputs: dict[str, OutputReport] = {}
        self._misfit = ""
        self._tally = Tally()
        self.wrong_on: Mapping[str, Array] | None = None
        """The first inputs on which an output was wrong."""

    def __enter__(self) -> BackendRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, trace)

    @property
    def alive(self) -> bool:
        """Whether it can still give results."""
        return self._failure is None

    def start(self, model: Path, timeout: float) -> None:
        """Start its process; a backend that is not available fails here.

        Args:
            model: the model's file.
            timeout: seconds that loading the model may take, and each batch.
        """
        try:
            self._session = self._backend.start(model, timeout)
        except BackendFailure as failure:
            self._failure = failure

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Run one batch and compare each output with the expected one.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them.
            scores: the output that holds class scores, where classes are compared.
            predicted: the reference's classes, likewise.
        """
        if self._session is None or self._failure is not None:
            return
        try:
            with self._timed():
                if not self._loaded:
                    self._session.ready()
                    self._loaded = True
                actual = self._session.run(batch.inputs)
        except BackendFailure as failure:
            self._failure = failure
            return
        for name in case.expected:
            self._compare(name, actual.get(name), case)
        if self.wrong_on is None and self._status()[0] == "mismatch":
            self.wrong_on = batch.inputs
        if scores is not None and predicted is not None and not self._misfit:
            classes = predicted_classes(actual, scores, batch.samples)
            self._tally.add(classes, batch.labels, predicted)

    def _compare(self, name: str, actual: Array | None, case: Case) -> None:
        expected = case.expected[name]
        if actual is None:
            self._misfit = f"there is no output '{name}'"
        elif actual.shape != expected.shape:
            self._misfit = (
                f"output '{name}' has shape {format_dims(actual.shape)}, "
                f"and {format_dims(expected.shape)} in the reference"
            )
        elif is_floating(actual.dtype) != is_floating(expected.dtype):
            self._misfit = f"output '{name}' has type {actual.dtype}, and {expected.dtype} in the reference"
        else:
            comparison = case.compare(name, actual)
            before = self._outputs.get(name, OutputReport(name, str(actual.dtype), TensorComparison()))
            if is_floating(actual.dtype):
                before.distribution.add(actual, expected)
            self._outputs[name] = replace(before, comparison=before.comparison + comparison)

    def report(
        self, labelled: bool, gate: Gate | None = None, reference_accuracy: float | None = None
    ) -> BackendReport:
        """What became of it.

        Args:
            labelled: whether the data has labels, so that predictions were counted.
            gate: decides in place of the numbers, where classes could be compared.
            reference_accuracy: the reference's accuracy, with labels.
        """
        status, reason = self._status()
        counted = (labelled or gate is not None) and self._tally.samples > 0
        passed: GateOutcome | None = None
        if gate is not None and counted and self._failure is None and not self._misfit:
            tally = self._tally
            missed = gate.missed(tally.flips, tally.samples, tally.accuracy, reference_accuracy)
            passed = "missed" if missed else "met"
            if missed:
                status, reason = "mismatch", "; ".join(filter(None, (missed, reason)))
            elif status == "mismatch":
                status, reason = "pass", f"the gate is met, though numbers differ beyond rounding: {reason}"
        return BackendReport(
            name=self._backend.name,
            status=status,
            reason=reason,
            requested=self._requested,
            outputs=list(self._outputs.values()),
            accuracy=self._tally.accuracy if counted else None,
            flips=self._tally.flips if counted else None,
            gate=passed,
            log=self._failure.log if self._failure else (),
            versions=self._session.versions if self._session else {},
            seconds=self._seconds,
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - begin

    def _doubt(self) -> str:
        """A warning where rounding alone may change an output so much that passing means little."""
        for output in self._outputs.values():
            share = output.comparison.noise_share
            if share is not None and share > _MEANINGLESS:
                return (
                    f"rounding alone moves output '{output.name}' by {share:.0%} of its size here: "
                    "the model amplifies it, and no verdict on it means much"
                )
        return ""

    def _status(self) -> tuple[Status, str]:
        if self._failure is not None:
            return self._failure.status, self._failure.reason
        if self._misfit:
            return "mismatch", self._misfit
        wrong = [output for output in self._outputs.values() if output.comparison.wrong]
        if not wrong:
            return "pass", self._doubt()
        worst = max(wrong, key=lambda output: output.comparison.noise_ratio)
        found = worst.comparison
        misplaced = f", {found.misplaced} with a NaN or infinity that only one has" if found.misplaced else ""
        return (
            "mismatch",
            f"output '{worst.name}': {found.wrong} of {found.elements} elements are wrong{misplaced}",
        )
