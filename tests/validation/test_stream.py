"""Batches through the reference and the backends."""

import numpy as np
import pytest

from normdeploy import parallel
from normdeploy.errors import InputError
from normdeploy.graph.inference import inferred
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.reference import Evaluator
from normdeploy.validation.compared_outputs import ComparedOutputs
from normdeploy.validation.half_precision.findings import OverflowWatch
from normdeploy.validation.judge import Judge
from normdeploy.validation.stream import stream
from tests.builders import classifier, unary
from tests.validation.networks import Network


class Recorder:
    """Stands where a backend's run does; ends after a number of batches."""

    def __init__(self, batches):
        self.left, self.predicted = batches, []

    @property
    def alive(self):
        return self.left > 0

    def judge(self, batch, case, scores, predicted):
        self.left -= 1
        self.predicted.append(None if predicted is None else predicted.tolist())


def streamed(proto, count, *batches, run=None, classify=False, labels=None):
    """What comes of the batches, and the progress that is told."""
    evaluator = Evaluator(inferred(proto))
    given = [Batch({"x": np.asarray(rows, np.float32)}, len(rows), labels) for rows in batches]
    seen = []
    samples = Samples(count, iter(given), labels is not None)
    run = run or Recorder(len(given))
    judge = Judge(evaluator, evaluator)
    found = stream(judge, [run], samples, None, lambda *state: seen.append(state), classify)
    return found, run, seen


def test_samples_are_counted_where_nobody_knew_before():
    found, _, seen = streamed(unary("Exp", ["N", 2]), None, [[1, 2]], [[3, 4], [5, 6]])
    assert (found.samples, found.accuracy) == (3, None)
    assert seen == [(1, None), (3, None)]


def test_it_ends_with_the_last_run():
    found, run, seen = streamed(unary("Exp", ["N", 2]), 3, *[[[1, 2]]] * 3, run=Recorder(2))
    assert seen == [(1, 3), (2, 3)]
    assert found.samples == 3
    assert run.predicted == [None, None]


def test_classes_with_labels_and_without():
    rows = np.eye(2, 6)
    found, run, _ = streamed(classifier(), 2, rows, labels=np.array([0, 3]))
    assert (found.accuracy, run.predicted) == (0.5, [[0, 1]])
    found, run, _ = streamed(classifier(), 2, rows, classify=True)
    assert (found.accuracy, run.predicted) == (None, [[0, 1]])


def test_classes_need_scores():
    with pytest.raises(
        InputError, match="classes are to be compared, but the model has no output with class"
    ):
        streamed(unary("Exp", ["N"]), 1, [1], classify=True)
    with pytest.raises(
        InputError, match="the data has 'labels', but the model has no output with class scores"
    ):
        streamed(unary("Exp", ["N"]), 1, [1], labels=np.array([0]))


@pytest.mark.parametrize("cores", [2, 5])
def test_any_number_of_cores_gives_the_same_bits(cores, monkeypatch):
    """What is expected, allowed and found in half precision, batch by batch, and in the same order."""

    class Compared:
        alive = True

        def __init__(self):
            self.cases, self.outputs = [], ComparedOutputs()

        def judge(self, batch, case, scores, predicted):
            actual = {name: array.astype(np.float32) for name, array in case.expected.items()}
            self.outputs.add(batch, case.judge(actual), actual, case.expected)
            sizes = [case._allowance.noise.expected(name).tobytes() for name in actual]
            self.cases.append((*(array.tobytes() for array in case.expected.values()), *sizes))

    def found(number):
        monkeypatch.setattr(parallel, "usable_cpus", lambda: number)
        network = Network()
        evaluator = Evaluator(inferred(network.model()))
        batches = [Batch(network.inputs(seed), 1) for seed in range(4)]
        watch, run, seen = OverflowWatch(evaluator.model), Compared(), []
        stream(
            Judge(evaluator, evaluator),
            [run],
            Samples(4, iter(batches), False),
            watch,
            lambda *state: seen.append(state),
            classify=True,
        )
        return run.cases, [each.to_json() for each in run.outputs.reports], watch.findings(), seen

    assert found(cores) == found(1)


def test_batches_may_use_the_same_memory_one_after_another():
    buffer = np.zeros((1, 2), np.float32)
    expected = []

    class Reading(Recorder):
        def judge(self, batch, case, scores, predicted):
            expected.append(case.expected["y"].tolist())

    def batches():
        for number in range(4):
            buffer[:] = number
            yield Batch({"x": buffer}, 1)

    evaluator = Evaluator(inferred(unary("Neg", ["N", 2])))
    stream(Judge(evaluator, evaluator), [Reading(4)], Samples(4, batches()), None, None, classify=False)
    assert expected == [[[-number, -number]] for number in range(4)]
