"""One backend during a check."""

import numpy as np
import pytest
from onnx import helper

from normdeploy.backends.catalog import Backend
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import save
from normdeploy.inputs.samples import Batch
from normdeploy.reference import Evaluator
from normdeploy.validation.backend_run import _MEANINGLESS, BackendRun
from normdeploy.validation.compare import compare
from normdeploy.validation.judge import Judge
from normdeploy.validation.noise import factor
from tests.builders import FLOAT, classifier, model, unary

ONNXRUNTIME = Backend("onnxruntime", "normdeploy.backends.onnxruntime:open_cpu")


def ran(proto, tmp_path, *batches, backend=ONNXRUNTIME, scores=None, predicted=None):
    """The run, and its report, after these batches."""
    whole, path = inferred(proto), tmp_path / "model.onnx"
    save(whole, path)
    evaluator = Evaluator(whole)
    with BackendRun(backend, requested=True) as run:
        run.start(path, 300)
        for batch in batches:
            run.judge(batch, Judge(evaluator, evaluator).on(batch.inputs), scores, predicted)
        return run, run.report(labelled=scores is not None)


def misbehaving(name):
    return Backend(name, f"tests.validation.misbehaving_for_check:{name}")


def batch(*rows, labels=None):
    x = np.array(rows, np.float32)
    return Batch({"x": x}, len(x), labels)


def test_batches_are_compared_and_added_up(tmp_path):
    run, report = ran(unary("Exp", ["N", 3]), tmp_path, batch([1, 2, 3]), batch([4, 5, 6], [7, 8, 9]))
    assert (report.status, report.reason) == ("pass", "")
    assert report.outputs[0].comparison.elements == report.outputs[0].distribution.elements == 9
    assert "onnxruntime" in report.versions
    assert run.wrong_on is None
    assert run.alive


def test_the_first_wrong_inputs_are_kept(tmp_path):
    """A backend that leaves the first column unwritten, which shows only where it is not 0."""
    backend = misbehaving("leaves_a_row_unwritten")
    right, wrong, later = batch([0, 1, 2]), batch([1, 1, 2]), batch([2, 1, 2])
    run, report = ran(unary("Identity", ["N", 3]), tmp_path, right, wrong, later, backend=backend)
    assert run.wrong_on is wrong.inputs
    assert report.reason == "output 'y': 2 of 9 elements are wrong"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gives_another_shape", "output 'y' has shape [1, 2], and [1, 3] in the reference"),
        ("gives_no_outputs", "there is no output 'y'"),
        ("gives_integers", "output 'y' has type int32, and float64 in the reference"),
    ],
)
def test_outputs_that_cannot_be_compared(tmp_path, name, reason):
    run, report = ran(unary("Identity", ["N", 3]), tmp_path, batch([1, 2, 3]), backend=misbehaving(name))
    assert (report.status, report.reason) == ("mismatch", reason)
    assert run.wrong_on is not None


def test_a_crash_ends_the_run_and_keeps_its_log(tmp_path):
    run, report = ran(unary("Identity", ["N", 3]), tmp_path, batch([1, 2, 3]), backend=misbehaving("aborts"))
    assert (report.status, run.alive) == ("crashed", False)
    assert "SIGABRT" in report.reason


def test_labels_are_counted(tmp_path):
    labelled = batch([1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], labels=np.array([0, 1]))
    _, report = ran(classifier(), tmp_path, labelled, scores="scores", predicted=np.array([0, 2]))
    assert (report.accuracy, report.flips) == (0.5, 0)


@pytest.mark.parametrize(("elements", "share"), [(1, 0.43), (10**6, 0.68)])
def test_where_rounding_is_called_meaningless_half_of_the_output_can_be_wrong_unseen(elements, share):
    """The numbers beside `_MEANINGLESS`."""
    assert _MEANINGLESS * factor(elements) == pytest.approx(share, abs=0.01)
    right = np.full(elements, 1.0)
    sigma = np.full(elements, _MEANINGLESS)
    for error, wrong in ((share - 0.01, 0), (share + 0.01, elements)):
        assert compare(right + error, right, factor(elements) * sigma, sigma).wrong == wrong


@pytest.mark.parametrize(("big", "doubted"), [(1e4, False), (1e6, False), (1e7, True)])
def test_a_model_that_amplifies_rounding_is_doubted(tmp_path, big, doubted):
    """x + big − big in float32, which keeps 24 bits of big: x has a share of rounding of about big · 2⁻²⁴."""
    proto = model(
        [helper.make_node("Add", ["x", "big"], ["up"]), helper.make_node("Sub", ["up", "big"], ["y"])],
        {"x": (FLOAT, ["N", 64])},
        {"y": (FLOAT, ["N", 64])},
        {"big": np.array(big, np.float32)},
    )
    x = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    _, report = ran(proto, tmp_path, Batch({"x": x}, 1))
    assert report.status == "pass"
    share = report.outputs[0].comparison.noise_share
    assert share == pytest.approx(big * 2.0**-24, rel=0.5)
    expected = f"rounding alone moves output 'y' by {share:.0%} of its size here: " if doubted else ""
    assert report.reason.startswith(expected)
    assert bool(report.reason) is doubted
