"""Which rows of a batch fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from normdeploy.backends.catalog import Backend
from normdeploy.dtypes import Array
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis
from normdeploy.inputs.samples import Batch
from normdeploy.validation.judge import Case, Judge

Arrays = Mapping[str, Array]

RowsOf = Callable[[Batch], Sequence[int]]
"""Called with a batch; the rows that may fail by themselves, in order; none if the batch does not fail.

Raises:
    BackendFailure: the backend gives nothing for the batch.
"""


def row_of(batch: Batch, declared: Sequence[DeclaredInput], row: int) -> Arrays:
    """The inputs of one sample of a batch."""
    arrays = batch.inputs
    return {
        item.name: arrays[item.name][row : row + 1] if item.dims else arrays[item.name] for item in declared
    }


def can_be_divided(batch: Batch, declared: Sequence[DeclaredInput]) -> bool:
    """Whether a row of a batch is a batch itself."""
    open_axis = all(not item.dims or not isinstance(item.dims[0], int) for item in declared)
    rows = {len(batch.inputs[item.name]) for item in declared if item.dims}
    return has_sample_axis(declared) and open_axis and rows != {1}


@contextmanager
def rows_wrong_in_backend(
    backend: Backend,
    path: Path,
    judge: Judge,
    timeout: float,
    note: Callable[[Mapping[str, str]], None],
) -> Iterator[RowsOf]:
    """Finds the rows of which a backend gives wrong numbers; all batches run in one process.

    Args:
        backend: which.
        path: of the model.
        judge: says what is right.
        timeout: seconds that the backend has to load the model, and for each batch.
        note: is told the versions of the backend's runtime.
    """
    with backend.start(path, timeout) as session:
        loaded = False

        def rows_of(batch: Batch) -> Sequence[int]:
            nonlocal loaded
            if not loaded:
                session.ready()
                note(session.versions)
                loaded = True
            actual = session.run(batch.inputs)
            case = judge.on(batch.inputs)
            return [row for row in range(batch.samples) if _is_wrong(case, actual, row, batch.samples)]

        yield rows_of


def rows_that_differ(judge: Judge) -> RowsOf:
    """Finds batches on which two graphs differ, of which any row may be why.

    Args:
        judge: of both graphs.
    """

    def rows_of(batch: Batch) -> Sequence[int]:
        with np.errstate(all="ignore"):
            case = judge.on(batch.inputs)
            differ = any(case.compare_graph(name).wrong for name in case.expected)
        return range(batch.samples) if differ else ()

    return rows_of


def _is_wrong(case: Case, actual: Arrays, row: int, rows: int) -> bool:
    """Whether a row is wrong: the right outputs with this row of the backend's are not right any more."""
    for name, expected in case.expected.items():
        given = actual.get(name)
        if given is None or given.shape != expected.shape or rows not in given.shape[:1]:
            if given is None or given.shape != expected.shape or case.compare(name, given).wrong:
                return True
            continue
        with np.errstate(all="ignore"):
            mixed = expected.astype(given.dtype)
        mixed[row] = given[row]
        with np.errstate(all="ignore"):
            if case.compare(name, mixed).wrong:
                return True
    return False
