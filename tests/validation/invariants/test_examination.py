"""Backends that contradict themselves, each in a process, are caught by the invariant meant for them."""

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.graph.io import save
from normdeploy.validation.invariants.ask import ask
from normdeploy.validation.invariants.result import NAMES
from tests.builders import conv_lrn
from tests.validation.examinees import examinee
from tests.validation.invariants.self_contradicting_backends import planted

RNG = np.random.default_rng(0)
SAMPLES = [{"x": (RNG.normal(size=(1, 3, 6, 6)) * 8).astype(np.float32)} for _ in range(3)]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Ask a backend about a model whose batch and image size are open."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    model = conv_lrn(spatial="S")
    save(inferred(model), path)

    def ask_one(name, is_right=True):
        found = ask(examinee(model, path), SAMPLES, {}, [(planted(name), is_right)])
        assert [entry.name for entry in found.entries] == list(NAMES)
        return {entry.name: entry for entry in found.entries}

    return ask_one


def test_a_right_backend_holds_them_all(asked):
    found = asked("right")
    assert {entry.status for entry in found.values()} == {"pass"}
    assert max(entry.noise_ratio for entry in found.values()) < 0.8
    assert found["repeated-runs"].reason == "bit for bit"


@pytest.mark.parametrize(
    ("name", "invariant", "reason", "others"),
    [
        ("wrong_from_the_second_row_on", "equal-rows", "in a batch of 3 equal rows, row 1, ",
         {"permuted-rows", "batch-sizes", "shape-corners"}),
        ("depends_on_the_order", "permuted-rows", "with the rows in another order, ",
         {"batch-sizes", "shape-corners"}),
        ("wrong_in_batches", "batch-sizes", "alone in a batch, 288 of 288 elements of output 'y' differ",
         {"shape-corners"}),
        ("wrong_in_batches_of_two", "batch-sizes", "in a batch of two rows, ", set()),
        ("answers_one_row", "batch-sizes",
         "on a batch of 3 rows, output 'y' has shape [1, 8, 6, 6], not [3, 8, 6, 6]", set()),
        ("keeps_what_it_computed_before", "repeated-runs", "in a second run, ",
         {"permuted-rows", "equal-rows"}),
        ("is_late", "repeated-runs", "after a run on other values, ", {"permuted-rows", "equal-rows"}),
        ("spoilt_by_another_shape", "repeated-runs", "after runs on other batch sizes, ",
         {"batch-sizes", "shape-corners"}),
        ("never_the_same", "repeated-runs", "in a second run, ",
         {"permuted-rows", "equal-rows", "batch-sizes", "shape-corners", "extra-outputs"}),
        ("wrong_at_odd_sizes", "shape-corners", "at x [1, 3, 3, 3], 24 of 72 elements ", set()),
        ("wrong_at_small_sizes", "shape-corners", "at x [1, 3, 3, 3], 72 of 72 elements ", set()),
        ("wrong_with_further_outputs", "extra-outputs", "with 1 inner tensor as further outputs, ", set()),
    ],
)  # fmt: skip
def test_a_defect_is_caught_by_the_invariant_that_is_meant_for_it(asked, name, invariant, reason, others):
    """`others` may notice it too."""
    found = asked(name)
    assert found[invariant].status == "broken"
    assert found[invariant].reason.startswith(reason)
    assert {each for each, entry in found.items() if entry.status == "broken"} <= {invariant, *others}


def test_what_differs_within_rounding_is_reported_and_no_failure(asked):
    found = asked("rounds_otherwise_each_time")
    assert {entry.status for entry in found.values()} == {"pass"}
    repeated = found["repeated-runs"]
    assert repeated.reason.startswith("not bit for bit: runs differ by up to ")
    assert repeated.reason.endswith(", which is rounding")
    assert 0 < repeated.noise_ratio < 0.8


def test_a_backend_that_is_wrong_anyway_is_not_asked_for_the_corners(asked):
    corners = asked("wrong_at_odd_sizes", is_right=False)["shape-corners"]
    assert corners.status == "skipped"
    assert "at the usual shapes already" in corners.reason


@pytest.mark.parametrize(
    ("name", "invariant", "status", "reason"),
    [
        ("refuses_batches", "batch-sizes", "crashed", "on a batch of 3 rows: ValueError: one row only"),
        ("aborts_at_odd_sizes", "shape-corners", "crashed", "at x [1, 3, 3, 3]: its process was ended "),
        ("refuses_further_outputs", "extra-outputs", "skipped", "the backend does not take the model "),
    ],
)  # fmt: skip
def test_backends_that_give_no_answer(asked, name, invariant, status, reason):
    found = asked(name)
    assert (found[invariant].status, found[invariant].noise_ratio) == (status, None)
    assert found[invariant].reason.startswith(reason)
    assert not any(entry.status == "broken" for entry in found.values())
    if name == "aborts_at_odd_sizes":  # which goes on in a new process
        assert found["extra-outputs"].status == "pass"
