"""What comparisons make of an invariant."""

import math

import numpy as np
import pytest

from normdeploy.errors import BackendCrashed
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.invariants.finding import Finding
from normdeploy.validation.invariants.result import Invariant, Invariants

RIGHT = TensorComparison(elements=4, noise_ratio=0.25)
WRONG = TensorComparison(elements=4, wrong=2, max_abs_error=0.5, noise_ratio=8.0)


def test_the_first_that_is_wrong_gives_the_reason():
    finding = Finding("equal-rows")
    finding.skip("not told, where something is compared")
    finding.add("y", RIGHT, "row 1", "those of row 0")
    finding.add("y", WRONG, "row 2", "those of row 0")
    finding.add("z", WRONG, "row 2", "those of row 0")
    finding.fail(BackendCrashed("gone"), "later")
    found = finding.result("ort")
    assert (found.status, found.noise_ratio) == ("broken", 8.0)
    assert found.reason == "row 2, 2 of 4 elements of output 'y' differ from those of row 0, by up to 0.5"


def test_right_skipped_and_failed():
    finding = Finding("batch-sizes")
    assert finding.result("ort").status == "skipped"
    finding.skip("why")
    finding.skip("and why else")
    assert finding.result("ort") == Invariant("ort", "batch-sizes", "skipped", "why")
    finding.note = "bit for bit"
    finding.add("y", RIGHT, "again", "before")
    assert finding.result("ort") == Invariant("ort", "batch-sizes", "pass", "bit for bit", 0.25)
    finding.fail(BackendCrashed("gone"), "at x [3]")
    assert finding.result("ort") == Invariant("ort", "batch-sizes", "crashed", "at x [3]: gone", 0.25)


@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (None, "again, there is no output 'y'"),
        (np.zeros((1, 2)), "again, output 'y' has shape [1, 2], not [2, 2]"),
    ],
)
def test_outputs_that_do_not_fit(actual, reason):
    finding = Finding("repeated-runs")
    assert finding.fits("y", np.zeros((2, 2)), (2, 2), "again")
    assert finding.result("ort").status == "skipped"
    assert not finding.fits("y", actual, (2, 2), "again")
    assert (finding.result("ort").status, finding.result("ort").reason) == ("broken", reason)


def test_json_and_what_counts():
    entries = [
        Invariant("ort", "equal-rows", "broken", "why", math.inf),
        Invariant("ort", "batch-sizes", "skipped"),
        Invariant("ort", "shape-corners", "timeout", "late"),
    ]
    assert Invariants(entries).to_json()[0] == {
        "backend": "ort", "name": "equal-rows", "status": "broken", "noise_ratio": None, "reason": "why",
    }  # fmt: skip
    assert [str(entry) for entry in entries[:2]] == ["equal-rows broken: why", "batch-sizes skipped"]
    assert (Invariants(entries).broken, Invariants(entries).failed) == (True, True)
    assert (Invariants(entries[1:]).broken, Invariants(entries[1:2]).failed) == (False, False)
