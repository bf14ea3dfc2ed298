"""`check` with invariants: which backends are asked, and what becomes of the verdict."""

import numpy as np
import pytest

from normdeploy.backends import catalog
from normdeploy.errors import UsageError
from normdeploy.inputs.ranges import Range
from normdeploy.validation import check
from tests.builders import classifier, conv_lrn, unary
from tests.validation.invariants.self_contradicting_backends import planted
from tests.validation.misbehaving_for_check import misbehaving


def checked(model, monkeypatch, *names, **options):
    """The report, and the statuses of each backend's invariants by name."""
    for name in names:
        if name != "onnxruntime":
            monkeypatch.setitem(catalog.BACKENDS, name, planted(name))
    report = check(model, backends=names, invariants=True, **options)
    found = {}
    for entry in report.invariants.entries:
        found.setdefault(entry.backend, {})[entry.name] = entry.status
    return report, found


def test_a_defect_that_no_sample_shows_by_itself(monkeypatch):
    backends = ("onnxruntime", "wrong_from_the_second_row_on")
    report, found = checked(conv_lrn(), monkeypatch, *backends, samples=3)
    assert [backend.status for backend in report.backends] == ["pass", "pass"]
    assert report.verdict == "mismatch"
    assert set(found["onnxruntime"].values()) == {"pass"}
    assert found["wrong_from_the_second_row_on"]["equal-rows"] == "broken"
    assert "invariants of onnxruntime: 6 hold" in str(report)
    assert "equal-rows broken: in a batch of 3 equal rows, row 1, " in str(report)


def test_an_invariant_that_gets_no_answer_is_an_error(monkeypatch):
    report, found = checked(unary("Exp", ["N", 3]), monkeypatch, "refuses_batches", samples=2)
    assert report.backends[0].status == "pass"
    assert found["refuses_batches"]["batch-sizes"] == "crashed"
    assert report.verdict == "error"


def test_backends_that_gave_no_result_are_not_asked(monkeypatch):
    monkeypatch.setitem(catalog.BACKENDS, "aborts", misbehaving("aborts"))
    report = check(unary("Identity", ["N", 3]), backends=["aborts", "tensorrt"], invariants=True)
    assert report.invariants.entries == []
    assert report.verdict == "error"


def test_progress_is_told(monkeypatch):
    seen = []
    checked(
        unary("Exp", ["N", 3]), monkeypatch, "onnxruntime", "right", samples=1,
        progress=lambda *state: seen.append(state),
    )  # fmt: skip
    assert seen == [(1, 1), *((step, 12) for step in range(1, 13))]


def test_without_the_option_nothing_is_asked():
    report = check(unary("Exp", ["N", 3]), backends=["onnxruntime"], samples=1)
    assert (report.invariants, report.to_json()["invariants"]) == (None, None)


def test_a_gate_does_not_excuse_a_contradiction(monkeypatch):
    data = {"x": np.eye(6, dtype=np.float32)[:2]}
    options = {"data": data, "max_flips": 2}
    assert checked(classifier(), monkeypatch, "onnxruntime", **options)[0].verdict == "pass"
    report = checked(wrong_scores(), monkeypatch, "depends_on_the_order", **options)[0]
    assert report.backends[0].gate == "met"
    assert report.verdict == "mismatch"


def wrong_scores():
    """The classifier with the output's name that the planted backends change."""
    model = classifier()
    model.graph.node[0].output[0] = model.graph.output[0].name = "y"
    return model


def test_a_wrong_reference_is_no_contradiction(monkeypatch):
    """The deployed file is wrong throughout: a mismatch, in which the backend is true to itself."""
    report, found = checked(conv_lrn(beta=0.5), monkeypatch, "onnxruntime", reference=conv_lrn(), samples=2)
    assert report.verdict == "mismatch"
    assert found["onnxruntime"].pop("shape-corners") == "skipped"
    assert set(found["onnxruntime"].values()) == {"pass"}


def test_ranges_of_shapes(monkeypatch):
    shapes = {"x": Range((1, 3, 6, 6), (1, 3, 8, 8), (2, 3, 9, 9))}
    report, found = checked(
        conv_lrn(spatial="S"), monkeypatch, "onnxruntime", "wrong_at_odd_sizes", shapes=shapes, samples=2
    )
    assert [output.comparison.elements for output in report.backends[0].outputs] == [2 * 8 * 8 * 8]
    assert found["onnxruntime"]["shape-corners"] == "pass"
    (corners,) = [
        entry
        for entry in report.invariants.entries
        if (entry.backend, entry.name) == ("wrong_at_odd_sizes", "shape-corners")
    ]
    assert corners.reason.startswith("at x [2, 3, 9, 9], ")
    with pytest.raises(UsageError, match="a range of shapes is for the invariants"):
        check(conv_lrn(spatial="S"), backends=["onnxruntime"], shapes=shapes)
