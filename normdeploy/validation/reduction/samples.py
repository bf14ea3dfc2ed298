"""The first sample that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.validation.reduction.failures import Failure
from normdeploy.validation.reduction.rows import RowsOf, can_be_divided, row_of
from normdeploy.validation.reduction.subjects import Subject

Arrays = Mapping[str, Array]


class NothingFails(UsageError):
    """There is nothing to reduce."""


@dataclass(frozen=True)
class FailingSample:
    """The first sample that fails.

    Args:
        failure: how.
        inputs: the sample's; those of a batch where no sample of it fails by itself.
        numbers: of the samples that `inputs` holds, counted from 0.
    """

    failure: Failure
    inputs: Arrays
    numbers: range


def failing_sample(
    samples: Samples, declared: Sequence[DeclaredInput], subject: Subject, tell: Callable[[str], None]
) -> FailingSample:
    """Go through the samples up to the first that fails by itself, or in its batch.

    Args:
        samples: opened; they are used up as far as that.
        declared: the model's inputs.
        subject: the model that may fail.
        tell: is told which sample is at hand.

    Raises:
        NothingFails: every sample is right, or none is wrong when it is run again.
    """
    done = off = 0
    with subject.rows() as rows_of:
        for batch in samples.batches:
            restart_clock()
            tell(f"sample {done + 1} of {samples.count or '?'}")
            rows, ended = _rows(rows_of, batch)
            for row in rows if can_be_divided(batch, declared) else ():
                inputs = row_of(batch, declared, row)
                failure = subject.fails(subject.whole(inputs))
                if failure is not None:
                    return FailingSample(failure, inputs, range(done + row, done + row + 1))
            failure = subject.fails(subject.whole(batch.inputs)) if rows else None
            if failure is not None:
                return FailingSample(failure, batch.inputs, range(done, done + batch.samples))
            off += len(rows)
            done += batch.samples
            if ended:
                break
    if off:
        raise NothingFails(
            f"nothing to reduce: {off} of {done} samples are off, but none by more than rounding explains"
        )
    which = f"all {done} samples" if done > 1 else "the one sample"
    raise NothingFails(f"nothing to reduce: {subject.verdict_when_right} on {which}")


def _rows(rows_of: RowsOf, batch: Batch) -> tuple[Sequence[int], bool]:
    """The rows that fail, and whether the backend has ended; then it may be any of them."""
    try:
        return rows_of(batch), False
    except BackendFailure as error:
        if error.status == "unavailable":
            raise
        return range(batch.samples), True
