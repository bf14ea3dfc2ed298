"""Every batch of a check through the reference and the backends.

While a batch is judged, helpers compute what is right for the next ones, as many as there are helpers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import InputError
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.parallel import helpers
from normdeploy.validation.accuracy import Tally, predicted_classes, scores_output
from normdeploy.validation.half_precision.findings import BatchWatch, OverflowWatch
from normdeploy.validation.judge import Case, Judge

Progress = Callable[[int, int | None], None]
"""Called with the number of samples done and of all samples, None where that is not known."""


class Run(Protocol):
    """What is given every batch."""

    @property
    def alive(self) -> bool:
        """Whether it wants more of them."""
        ...

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        """Look at one batch.

        Args:
            batch: the inputs, and the labels if there are any.
            case: what is right for them.
            scores: the output that holds class scores, where classes are compared.
            predicted: the reference's classes, likewise.
        """
        ...


@dataclass(frozen=True)
class Streamed:
    """What became of the samples.

    Args:
        samples: how many there were; those that were put through, where nobody knew before.
        accuracy: the reference's, with labels.
        first: the first batches' inputs, for examinations that need a few.
    """

    samples: int
    accuracy: float | None
    first: Sequence[Mapping[str, Array]] = ()


_KEPT = 3
"""Batches whose inputs are kept."""


def stream(
    judge: Judge,
    runs: Sequence[Run],
    samples: Samples,
    watch: OverflowWatch | None,
    progress: Progress | None,
    classify: bool,
) -> Streamed:
    """Put every batch through the reference and the runs, until no run is alive.

    Args:
        judge: computes what is right.
        runs: the backends, and whatever else looks at the batches.
        samples: the batches.
        watch: sees the tensors of the deployed model.
        progress: is told about each batch.
        classify: whether classes are compared without labels too.

    Raises:
        InputError: classes are compared, and no output has scores; or data that does not fit.
    """
    tally, scores, done = Tally(), None, 0
    first: list[Mapping[str, Array]] = []
    with helpers() as ahead:
        for begun in _begun(judge, samples, watch, ahead):
            if not any(run.alive for run in runs):
                break
            restart_clock()
            batch, case = begun.batch, begun.case
            with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
                case.compute(deployed=watch is not None)
            if watch is not None and begun.seen is not None:
                watch.add(begun.seen)
            predicted = None
            if batch.labels is not None or classify:
                scores = scores or _scores(case.meant, batch)
                predicted = predicted_classes(case.meant, scores, batch.samples)
                tally.add(predicted, batch.labels, predicted)
            for run in runs:
                run.judge(batch, case, scores, predicted)
            done += batch.samples
            if len(first) < _KEPT:
                first.append(batch.inputs)
            if progress is not None:
                progress(done, samples.count)
    return Streamed(done if samples.count is None else samples.count, tally.accuracy, first)


@dataclass(frozen=True)
class _Begun:
    """A batch whose case helpers compute, and what is seen of its nodes."""

    batch: Batch
    case: Case
    seen: BatchWatch | None


def _begun(judge: Judge, samples: Samples, watch: OverflowWatch | None, ahead: int) -> Iterator[_Begun]:
    """Every batch, when the case of `ahead` more has been begun."""
    waiting: deque[_Begun] = deque()
    for given in samples.batches:
        # copied, since a function that yields data may use its memory again
        inputs = {name: np.array(array) for name, array in given.inputs.items()}
        batch = replace(given, inputs=inputs)
        seen = watch.start(batch.inputs) if watch is not None else None
        waiting.append(_Begun(batch, judge.begin(batch.inputs, seen), seen))
        if len(waiting) > ahead:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _scores(expected: Mapping[str, Any], batch: Batch) -> str:
    rows = max((array.shape[0] for array in batch.inputs.values() if array.ndim), default=1)
    output = scores_output(expected, rows)
    if output is None:
        why = "the data has 'labels'" if batch.labels is not None else "classes are to be compared"
        raise InputError(f"{why}, but the model has no output with class scores per sample")
    return output
