"""What every source of data gives: pieces, each with the arrays of some samples."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis
from normdeploy.inputs.npz import Column, columns_of

LABELS = "labels"
"""The array with the true classes, unless the model has an input of that name."""

_BATCH_BYTES = 2**20
"""Of one batch where the model leaves its size open; the reference's tensors take many times as much."""

_BATCH_ROWS = 64
"""Samples of one batch at most where the model leaves its size open, so that progress is shown."""

Arrays = Mapping[str, Array]
Held = TypeVar("Held")


@dataclass(frozen=True)
class Piece:
    """Arrays that belong together, their first axes counting samples.

    Args:
        origin: where they come from, as messages name it.
        columns: the arrays by name, each to be read once.
    """

    origin: str
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Source:
    """The pieces of a file, a folder or a function.

    Args:
        pieces: in order; they can be gone through once, each while its columns are read.
        count: of the samples in all of them; None where nobody knows before the end.
        whole: whether the first piece is all there is.
        remarks: what a user should know of how the data is taken; may grow while pieces are read.
    """

    pieces: Generator[Piece, None, None]
    count: int | None = None
    whole: bool = False
    remarks: list[str] = field(default_factory=list)


def is_label(inputs: Sequence[DeclaredInput], name: str) -> bool:
    """Whether an array of this name holds labels.

    Args:
        inputs: what the model declares.
        name: of the array.
    """
    return name == LABELS and all(declared.name != LABELS for declared in inputs)


def under_names(inputs: Sequence[DeclaredInput], arrays: Mapping[str, Held]) -> dict[str, Held]:
    """Arrays by the model's names, where they are all there, or all of the reference's.

    Args:
        inputs: what the model declares.
        arrays: by either's names.
    """
    names = {declared.alias or declared.name: declared.name for declared in inputs}
    if all(name in arrays for name in names.values()) or not all(name in arrays for name in names):
        return dict(arrays)
    return {names.get(name, name): array for name, array in arrays.items()}


def require_names(inputs: Sequence[DeclaredInput], names: Iterable[str], origin: str) -> None:
    """Check that there is an array for each input and no other.

    Args:
        inputs: what the model declares.
        names: of the arrays.
        origin: of the arrays.

    Raises:
        InputError: an array too many or too few.
    """
    given = [name for name in names if not is_label(inputs, name)]
    declared = {item.name for item in inputs}
    wanted = ", ".join(f"'{item.name}' ({item})" for item in inputs) or "no arrays at all"
    for name in given:
        if name not in declared:
            raise InputError(f"{origin}: array '{name}' is no input of the model, which takes {wanted}")
    for name in declared:
        if name not in given:
            raise InputError(f"{origin}: there is no array '{name}': the model takes {wanted}")


def rows_per_batch(inputs: Sequence[DeclaredInput], shapes: Mapping[str, Sequence[int]]) -> tuple[int, bool]:
    """Samples per call, and whether the model takes exactly that many.

    Args:
        inputs: what the model declares; all have the sample axis, scalars aside.
        shapes: of the arrays by name, the sample axis first.
    """
    first = next(declared.dims[0] for declared in inputs if declared.dims)
    if isinstance(first, int):
        return max(first, 1), True
    row_bytes = sum(
        math.prod(shapes[declared.name][1:]) * declared.dtype.itemsize for declared in inputs if declared.dims
    )
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1))), False


def grouped(
    inputs: Sequence[DeclaredInput], sets: Iterable[tuple[str, Arrays]]
) -> Generator[Piece, None, None]:
    """Sets of arrays, each of one sample or of a batch, joined to batches that the model takes.

    Neighbours whose shapes differ stay apart. Where the inputs have no common first axis, each set is a
    piece as it is.

    Args:
        inputs: what the model declares.
        sets: the arrays by name, with where they come from.

    Raises:
        InputError: names that do not fit, or first axes that differ within a set.
    """
    joinable = has_sample_axis(inputs) and all(declared.dims for declared in inputs) and bool(inputs)
    waiting: list[tuple[str, dict[str, Array]]] = []
    for origin, given in sets:
        arrays = under_names(inputs, given)
        require_names(inputs, arrays, origin)
        batch = with_sample_axis(inputs, arrays, origin)
        if waiting and _form(batch) != _form(waiting[0][1]):
            yield _joined(waiting)
            waiting = []
        waiting.append((origin, batch))
        shapes = {name: array.shape for name, array in batch.items()}
        if (
            not joinable
            or not all(shapes.values())  # of no rank that fits, as will be said of it
            or sum(_rows(inputs, each) for _, each in waiting) >= rows_per_batch(inputs, shapes)[0]
        ):
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def with_sample_axis(inputs: Sequence[DeclaredInput], arrays: Arrays, origin: str) -> dict[str, Array]:
    """A set of arrays with a first axis for samples, where the model has one and the set is one sample.

    Args:
        inputs: what the model declares.
        arrays: by name.
        origin: of the arrays.

    Raises:
        InputError: arrays whose first axes differ.
    """
    ranks = {declared.name: len(declared.dims or ()) for declared in inputs}
    if not has_sample_axis(inputs):
        return dict(arrays)
    batch = {
        name: array[np.newaxis] if array.ndim == ranks.get(name, 1) - 1 else array
        for name, array in arrays.items()
    }
    lengths = {name: array.shape[0] for name, array in batch.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' {format_dims(batch[name].shape)}" for name in lengths)
        raise InputError(f"{origin}: the arrays' first axes, which count samples, differ: {listed}")
    return batch


def _rows(inputs: Sequence[DeclaredInput], batch: Arrays) -> int:
    shape = batch[inputs[0].name].shape
    return shape[0] if shape else 1


def _form(batch: Arrays) -> dict[str, tuple[object, ...]]:
    return {name: (array.shape[1:], array.ndim, array.dtype) for name, array in batch.items()}


def _joined(waiting: Sequence[tuple[str, Arrays]]) -> Piece:
    origin, first = waiting[0]
    if len(waiting) == 1:
        return Piece(origin, columns_of(first))
    names = first.keys()
    return Piece(origin, columns_of({n: np.concatenate([each[n] for _, each in waiting]) for n in names}))
