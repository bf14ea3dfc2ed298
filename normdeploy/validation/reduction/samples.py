"""Which samples fail, and the inputs of one that does so by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.validation.reduction.failures import Failure
from normdeploy.validation.reduction.rows import RowsOf, can_be_divided, row_of
from normdeploy.validation.reduction.subjects import Subject

Arrays = Mapping[str, Array]


MOST_FAILING = 8
"""Samples that fail, after which no more are looked at: one is enough, and several say if many do."""


class NothingFails(UsageError):
    """There is nothing to reduce."""


@dataclass(frozen=True)
class Failing:
    """The samples on which a model fails.

    Args:
        failure: on one of them.
        inputs: that one's; a whole batch where no sample fails by itself.
        kept: the numbers of the samples that `inputs` holds, counted from 0.
        numbers: of the samples that fail, as far as they were looked at.
        samples: how many were looked at.
    """

    failure: Failure
    inputs: Arrays
    kept: range
    numbers: tuple[int, ...]
    samples: int


def failing_samples(
    samples: Samples, declared: Sequence[DeclaredInput], subject: Subject, tell: Callable[[str], None]
) -> Failing:
    """Go through the samples until `MOST_FAILING` have failed, and settle on one of them.

    Args:
        samples: opened; they are used up.
        declared: the model's inputs.
        subject: the model that may fail.
        tell: is told which sample is at hand.

    Raises:
        NothingFails: every sample is right, or none is wrong when it is run again.
    """
    numbers: list[int] = []
    settled: tuple[Failure, Arrays, range] | None = None
    done = 0
    with subject.rows(declared) as rows_of:
        for batch in samples.batches:
            restart_clock()
            tell(f"sample {done + 1} of {samples.count or '?'}")
            rows, ended = _failing_rows(rows_of, batch, MOST_FAILING - len(numbers))
            numbers += [done + row for row in rows]
            if rows and settled is None:
                settled = _settled(batch, declared, rows, done, subject)
            if settled is not None and len(numbers) >= MOST_FAILING:
                done = numbers[-1] + 1
                break
            done += batch.samples
            if ended:
                break
    if settled is None and numbers:
        raise NothingFails(
            f"nothing to reduce: {len(numbers)} of {done} samples are off, but none by more than rounding "
            "explains when it is run again"
        )
    if settled is None:
        raise NothingFails(f"nothing to reduce: {subject.verdict_when_right} on {_samples(done)}")
    failure, inputs, kept = settled
    return Failing(failure, inputs, kept, tuple(numbers), done)


def _failing_rows(rows_of: RowsOf, batch: Batch, most: int) -> tuple[list[int], bool]:
    """The first rows that fail, and whether the backend has ended; then it counts as all of them."""
    try:
        return list(islice(rows_of(batch), max(most, 1))), False
    except BackendFailure as error:
        if error.status == "unavailable":
            raise
        return list(range(batch.samples)), True


def _samples(count: int) -> str:
    return f"all {count} samples" if count > 1 else "the one sample"


def _settled(
    batch: Batch,
    declared: Sequence[DeclaredInput],
    rows: Sequence[int],
    before: int,
    subject: Subject,
) -> tuple[Failure, Arrays, range] | None:
    """The first of these rows that fails alone, or else the batch, if it fails again."""
    if can_be_divided(batch, declared):
        for row in rows:
            inputs = row_of(batch, declared, row)
            failure = subject.fails(subject.whole(inputs))
            if failure is not None:
                return failure, inputs, range(before + row, before + row + 1)
    failure = subject.fails(subject.whole(batch.inputs))
    return None if failure is None else (failure, batch.inputs, range(before, before + batch.samples))
