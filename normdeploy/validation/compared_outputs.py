"""The outputs of one backend, or of one graph, as far as they have been compared, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from normdeploy.dtypes import Array, is_floating
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.samples import Batch
from normdeploy.validation.accuracy import Tally, predicted_classes
from normdeploy.validation.compare import RowCounts, TensorComparison
from normdeploy.validation.gate import Gate
from normdeploy.validation.report import GateOutcome, OutputReport
from normdeploy.validation.row_outputs import Judged


@dataclass(frozen=True)
class Conclusion:
    """Whether the outputs are right.

    Args:
        wrong: whether they are not; with a gate, whether it is missed.
        reason: one line; may be empty.
        accuracy, flips: see `BackendReport`.
        gate: whether the gate is met; None without one, or where nothing could be judged by it.
    """

    wrong: bool
    reason: str
    accuracy: float | None = None
    flips: int | None = None
    gate: GateOutcome | None = None


class ComparedOutputs:
    """Adds up what is found, batch by batch."""

    def __init__(self) -> None:
        self._outputs: dict[str, OutputReport] = {}
        self._misfit = ""
        self._tally = Tally()
        self.wrong_on: Mapping[str, Array] | None = None
        """The first inputs on which an output was wrong."""

    @property
    def reports(self) -> list[OutputReport]:
        """Each output, in the order of the first batch."""
        return list(self._outputs.values())

    def add(
        self,
        batch: Batch,
        judged: Mapping[str, Judged],
        actual: Mapping[str, Array],
        expected: Mapping[str, Array],
    ) -> None:
        """Count one batch.

        Args:
            batch: the inputs.
            judged: the outputs that have been compared; what is wrong with the others is found here.
            actual: the outputs.
            expected: what they should be.
        """
        for name, right in expected.items():
            if name not in judged:
                self._misfit = _misfit(name, actual.get(name), right)
                continue
            found, dtype = judged[name], actual[name].dtype
            before = self._outputs.get(name, OutputReport(name, str(dtype), TensorComparison()))
            if is_floating(dtype):
                before.distribution.add(found.actual, found.expected)
            self._outputs[name] = replace(before, comparison=before.comparison + found.comparison)
        if self.wrong_on is None and self.found()[0]:
            self.wrong_on = batch.inputs

    def count_classes(
        self, batch: Batch, actual: Mapping[str, Array], scores: str | None, predicted: Array | None
    ) -> None:
        """Count how many samples have the reference's class, where classes are compared.

        Args:
            batch: with the labels, if there are any.
            actual: the outputs.
            scores: the output that holds class scores.
            predicted: the reference's classes.
        """
        if scores is not None and predicted is not None and not self._misfit:
            self._tally.add(predicted_classes(actual, scores, batch.samples), batch.labels, predicted)

    def found(self) -> tuple[bool, str]:
        """Whether an output is wrong so far, and why, or what else is to be said of them."""
        if self._misfit:
            return True, self._misfit
        wrong = [output for output in self._outputs.values() if output.comparison.wrong]
        if wrong:
            return True, _wrong(max(wrong, key=lambda output: output.comparison.noise_ratio))
        decided = (_decided_rows(output) for output in self._outputs.values())
        return False, next(filter(None, decided), "")

    def conclusion(self, labelled: bool, gate: Gate | None, reference_accuracy: float | None) -> Conclusion:
        """What is to be said at the end.

        Args:
            labelled: whether the data has labels, so that predictions were counted.
            gate: decides in place of the numbers, where classes could be compared.
            reference_accuracy: the reference's accuracy, with labels.
        """
        wrong, reason = self.found()
        tally = self._tally
        if not (labelled or gate is not None) or tally.samples == 0:
            return Conclusion(wrong, reason)
        passed: GateOutcome | None = None
        if gate is not None and not self._misfit:
            missed = gate.missed(tally.flips, tally.samples, tally.accuracy, reference_accuracy)
            passed = "missed" if missed else "met"
            if missed:
                wrong, reason = True, "; ".join(filter(None, (missed, reason)))
            elif wrong:
                wrong, reason = False, f"the gate is met, though numbers differ beyond rounding: {reason}"
        return Conclusion(wrong, reason, tally.accuracy, tally.flips, passed)


def _misfit(name: str, actual: Array | None, expected: Array) -> str:
    if actual is None:
        return f"there is no output '{name}'"
    if actual.shape != expected.shape:
        return (
            f"output '{name}' has shape {format_dims(actual.shape)}, "
            f"and {format_dims(expected.shape)} in the reference"
        )
    return f"output '{name}' has type {actual.dtype}, and {expected.dtype} in the reference"


def _wrong(output: OutputReport) -> str:
    found = output.comparison
    misplaced = f", {found.misplaced} with a NaN or infinity that only one has" if found.misplaced else ""
    rows = _wrong_rows(found.rows)
    return f"output '{output.name}': {found.wrong} of {found.elements} elements are wrong{misplaced}{rows}"


def _wrong_rows(rows: RowCounts | None) -> str:
    if rows is None or not rows.wrong:
        return ""
    parts = (
        (rows.missing, "missing"),
        (rows.surplus, "too many"),
        (rows.displaced, "in another order than rounding explains"),
    )
    return "; of its rows " + ", ".join(f"{count} {what}" for count, what in parts if count)


def _decided_rows(output: OutputReport) -> str:
    """A line where rounding decides which rows there are."""
    rows = output.comparison.rows
    if rows is None or not rows.appeared + rows.vanished:
        return ""
    parts = ((rows.appeared, "appeared"), (rows.vanished, "vanished"))
    counted = " and ".join(f"{count} {what}" for count, what in parts if count)
    return f"rounding decides which rows output '{output.name}' has: {counted} near a threshold"
