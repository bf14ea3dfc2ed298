"""What is said of outputs that have been compared."""

import numpy as np
import pytest

from normdeploy.inputs.samples import Batch
from normdeploy.validation.compare import RowCounts, TensorComparison
from normdeploy.validation.compared_outputs import ComparedOutputs
from normdeploy.validation.gate import given_gate
from normdeploy.validation.row_outputs import Judged

RIGHT = np.array([[0.1, 0.9], [0.8, 0.2]])
BATCH = Batch({"x": RIGHT}, 2, np.array([1, 0]))


def compared(found=None, actual=RIGHT):
    """One batch with one output."""
    actual = actual.astype(np.float32)
    judged = {} if found is None else {"y": Judged(found, actual, RIGHT)}
    outputs = ComparedOutputs()
    outputs.add(BATCH, judged, {"y": actual}, {"y": RIGHT})
    outputs.count_classes(BATCH, {"y": actual}, "y", np.array([1, 0]))
    return outputs


def test_batches_are_added_up():
    outputs = compared(TensorComparison(4, max_abs_error=1.0))
    outputs.add(BATCH, {"y": Judged(TensorComparison(4), RIGHT, RIGHT)}, {"y": RIGHT}, {"y": RIGHT})
    (report,) = outputs.reports
    assert (report.comparison.elements, report.comparison.max_abs_error, report.dtype) == (8, 1.0, "float32")
    assert outputs.found() == (False, "")
    assert outputs.wrong_on is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (TensorComparison(4, wrong=1), "output 'y': 1 of 4 elements are wrong"),
        (
            TensorComparison(4, wrong=1, misplaced=1),
            "output 'y': 1 of 4 elements are wrong, 1 with a NaN or infinity that only one has",
        ),
        (
            TensorComparison(4, wrong=2, rows=RowCounts(missing=1, surplus=2, displaced=3)),
            "output 'y': 2 of 4 elements are wrong; of its rows 1 missing, 2 too many, 3 in another order "
            "than rounding explains",
        ),
    ],
)
def test_what_is_wrong_is_said(found, reason):
    outputs = compared(found)
    assert outputs.found() == (True, reason)
    assert outputs.wrong_on is BATCH.inputs


def test_rows_that_rounding_decides_about_are_said():
    outputs = compared(TensorComparison(4, rows=RowCounts(appeared=2, vanished=1)))
    said = "rounding decides which rows output 'y' has: 2 appeared and 1 vanished near a threshold"
    assert outputs.found() == (False, said)


def test_an_output_that_cannot_be_compared_is_wrong():
    assert compared(None, RIGHT[:1]).found() == (
        True,
        "output 'y' has shape [1, 2], and [2, 2] in the reference",
    )


def test_classes_are_counted_and_a_gate_decides():
    wrong = TensorComparison(4, wrong=4)
    flipped = compared(wrong, RIGHT[:, ::-1])
    found = flipped.conclusion(True, None, 1.0)
    assert (found.wrong, found.accuracy, found.flips, found.gate) == (True, 0.0, 2, None)
    found = flipped.conclusion(True, given_gate(1, None), 1.0)
    assert (found.wrong, found.gate) == (True, "missed")
    found = compared(wrong).conclusion(True, given_gate(1, None), 1.0)
    assert (found.wrong, found.accuracy, found.gate) == (False, 1.0, "met")
    assert found.reason.startswith("the gate is met, though numbers differ beyond rounding: output 'y'")


def test_a_gate_says_nothing_of_an_output_that_cannot_be_compared():
    found = compared(None).conclusion(False, given_gate(1, None), None)
    assert (found.wrong, found.gate, found.flips) == (True, None, None)
