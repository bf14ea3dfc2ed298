"""Does the deployed graph mean what the original does? Both are computed in float64 and compared.

No runtime takes part, so that its rounding hides nothing: allowed is what the rounding of stored weights
does, and that of float64 itself. Where the deployed file holds a weight of the original in a shorter type,
the original is computed with that weight rounded, and nothing is allowed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.inputs.samples import Batch
from normdeploy.validation.compared_outputs import ComparedOutputs, Conclusion
from normdeploy.validation.examinee import Examinee
from normdeploy.validation.judge import Case
from normdeploy.validation.localize import Localization, by_rounding, localize_graphs
from normdeploy.validation.quantization import is_quantized
from normdeploy.validation.report import GateOutcome, OutputReport, show_nothing
from normdeploy.validation.stream import Progress


@dataclass(frozen=True)
class Graphs:
    """The deployed graph against the original.

    Args:
        agree: whether nothing differs by more than is allowed; with a gate, whether that is met.
        reason: in one line, how well they agree or what differs.
        outputs: as they compare in float64.
        accuracy: share of labels that the deployed graph's classes equal; None without labels.
        flips: samples whose class differs from the original's; None without labels and without a gate.
        gate: whether the gate is met; None without one, or where nothing could be judged by it.
        localization: the search for the first wrong node; None where there was none.
    """

    agree: bool
    reason: str
    outputs: Sequence[OutputReport] = ()
    accuracy: float | None = None
    flips: int | None = None
    gate: GateOutcome | None = None
    localization: Localization | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has. A ratio that is infinite is null."""
        first = self.localization.first if self.localization is not None else None
        return {
            "agree": self.agree,
            "reason": self.reason,
            "outputs": [output.to_json() for output in self.outputs],
            "accuracy": self.accuracy,
            "flips": self.flips,
            "gate": self.gate,
            "first_divergence": asdict(first) if first is not None else None,
        }

    def __str__(self) -> str:
        return f"the graphs {'agree' if self.agree else 'differ'} in float64: {self.reason}"


class GraphRun:
    """The comparison, batch by batch: it stands where a backend's run does.

    Args:
        examinee: whose graphs; there is nothing to compare if it has no reference, or if the deployed graph
            cannot be computed.
    """

    def __init__(self, examinee: Examinee) -> None:
        self._examinee = examinee
        self._compared = ComparedOutputs()

    @property
    def alive(self) -> bool:
        """It goes on to the last batch."""
        return self._examinee.has_reference and self._examinee.is_computable

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Compare the graphs on one batch.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them, and what the deployed graph computes.
            scores: the output that holds class scores, where classes are compared.
            predicted: the original's classes, likewise.
        """
        if not self.alive:
            return
        with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
            self._compared.add(batch, case.graph, case.computed, case.expected)
        self._compared.count_classes(batch, case.computed, scores, predicted)

    def result(self, reference_accuracy: float | None) -> Graphs | None:
        """What became of it.

        Args:
            reference_accuracy: the original's accuracy, with labels.
        """
        if not self.alive:
            return None
        examinee = self._examinee
        found = self._compared.conclusion(examinee.samples.labelled, examinee.gate, reference_accuracy)
        outputs = self._compared.reports
        return Graphs(
            not found.wrong,
            self._reason(found, outputs),
            outputs,
            found.accuracy,
            found.flips,
            found.gate,
        )

    def localized(self, found: Graphs | None, progress: Progress | None) -> Graphs | None:
        """The same, with the first wrong node where the graphs differ.

        Args:
            found: what became of the comparison.
            progress: is told how many nodes have been looked at.
        """
        if found is None or self._compared.wrong_on is None:
            return found
        examinee = self._examinee
        return replace(
            found,
            localization=localize_graphs(
                examinee.deployed.model,
                examinee.original.model,
                self._compared.wrong_on,
                by_rounding(examinee.seed),
                progress,
            ),
        )

    def _reason(self, found: Conclusion, outputs: Sequence[OutputReport]) -> str:
        explained = self._explained()
        if found.wrong:
            beyond = "" if found.gate else f", beyond what {explained} explains"
            return f"{found.reason}{beyond}{self._of_quantization(found)}"
        if found.gate is not None and any(output.comparison.wrong for output in outputs):
            return found.reason
        ratio = max((output.comparison.noise_ratio for output in outputs), default=0.0)
        if show_nothing(outputs):
            how = "no output has a finite number"
        elif not any(output.comparison.max_abs_error for output in outputs):
            how = "to the last bit"
        else:
            how = f"to {ratio:.2g} of what {explained} explains"
        return "; ".join(filter(None, (how, found.reason)))

    def _explained(self) -> str:
        """What may make the graphs differ."""
        if self._examinee.tolerance is not None:
            return "the tolerance"
        numbers = self._examinee.judge.numbers
        rounded = numbers.tensors or numbers.attributes
        return "the rounding of stored weights" if rounded else "float64's own rounding"

    def _of_quantization(self, found: Conclusion) -> str:
        if not is_quantized(self._examinee.deployed.model):
            return ""
        moved = "; quantization moves numbers away from those of the reference"
        return moved if found.gate else f"{moved}: --max-flips and --max-accuracy-drop limit what it may cost"
