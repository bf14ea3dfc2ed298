"""The inputs of a check, one batch at a time, of a user's data or generated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError, UsageError
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.conversion import as_declared, cast_remark, require_type
from normdeploy.inputs.declared import DeclaredInput, bind, has_sample_axis
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape
from normdeploy.inputs.npz import Column
from normdeploy.inputs.pieces import (
    LABELS,
    Piece,
    Source,
    is_label,
    require_names,
    rows_per_batch,
    under_names,
)
from normdeploy.inputs.sources import Data, Preparation, open_source

DEFAULT_SAMPLES = 8
"""Generated ones. Each magnitude of `generated` comes twice at least: one alone could be an easy case."""


@dataclass(frozen=True)
class Batch:
    """What one call of the model takes.

    Args:
        inputs: an array per input.
        samples: how many samples it holds; rows after them repeat the last one, to fill a fixed batch.
        labels: the true class of each sample, if known.
    """

    inputs: Mapping[str, Array]
    samples: int
    labels: Array | None = None


@dataclass(frozen=True)
class Samples:
    """A number of samples, and the batches that hold them.

    Args:
        count: of the samples; None where the data tells only at its end.
        batches: those samples, in order; they can be gone through once.
        labelled: whether the batches have labels.
        remarks: what a user should know of how the data is taken; complete after the last batch.
    """

    count: int | None
    batches: Iterator[Batch]
    labelled: bool = False
    remarks: list[str] = field(default_factory=list)


@contextmanager
def open_samples(
    inputs: Sequence[DeclaredInput],
    data: Data | None,
    samples: int | None,
    seed: int,
    preparation: Preparation | None = None,
) -> Iterator[Samples]:
    """The samples of a user's data, or generated ones.

    The first axis of each array counts samples, which are cut into batches that the model accepts. Where
    the inputs have no common first axis the arrays are one sample as they are.

    Args:
        inputs: what the model declares.
        data: what the user brings: an array per input, and `labels` if there are any.
        samples: how many; by default all of the data, or 8 generated ones.
        seed: of the generated ones.
        preparation: what is done to the data first.

    Raises:
        InputError: arrays that do not fit the inputs, here or while the batches are read.
        UsageError: a number of samples below 1, or a preparation of data that there is not.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be at least 1, got {samples}")
    preparation = preparation or Preparation()
    if data is None:
        if preparation != Preparation():
            raise UsageError("preprocessing and labels are for data: give --data too")
        yield _generated(inputs, samples or DEFAULT_SAMPLES, seed)
        return
    with open_source(inputs, data, preparation) as source:
        yield _of_source(inputs, source, samples)


def _generated(inputs: Sequence[DeclaredInput], samples: int, seed: int) -> Samples:
    names = batch_names(inputs)
    shapes = {declared.name: resolved_shape(declared, names) for declared in inputs}
    _require_elements(inputs, shapes.values(), "the model")
    rows = 1
    if has_sample_axis(inputs):
        rows = max(1, next(shape[0] for shape in shapes.values() if shape))
    count = math.ceil(samples / rows)

    def batches() -> Iterator[Batch]:
        for index in range(count):
            rng = np.random.default_rng([seed, index])
            arrays = {
                declared.name: random_array(declared, shapes[declared.name], index, rng)
                for declared in inputs
            }
            yield Batch(arrays, rows)

    return Samples(count * rows, batches())


def _of_source(inputs: Sequence[DeclaredInput], source: Source, samples: int | None) -> Samples:
    """The samples of all pieces; the first piece is checked at once, the others when they are reached."""
    piece = next(source.pieces, None)
    if piece is None:
        raise InputError("the data holds no samples")
    first, origin = _given(inputs, piece, samples, source.remarks), piece.origin

    def batches() -> Iterator[Batch]:
        current, left = first, samples
        while True:
            yield from current.batches
            if left is not None:
                left -= current.count or 0
            piece = None if left == 0 else next(source.pieces, None)
            if piece is None:
                return
            current = _given(inputs, piece, left, source.remarks)
            if current.labelled != first.labelled:
                with_labels, without = (origin, piece.origin) if first.labelled else (piece.origin, origin)
                raise InputError(f"{without}: has no 'labels', and {with_labels} has")

    count = first.count if source.whole else source.count
    if samples is not None and count is not None:
        count = min(samples, count)
    return Samples(count, batches(), first.labelled, source.remarks)


def _given(inputs: Sequence[DeclaredInput], piece: Piece, samples: int | None, remarks: list[str]) -> Samples:
    """The samples of one piece; what is remarkable is added to the remarks."""
    columns, source = under_names(inputs, piece.columns), piece.origin
    labels = columns.get(LABELS) if is_label(inputs, LABELS) else None
    arrays = {name: column for name, column in columns.items() if column is not labels}
    require_names(inputs, arrays, source)
    by_sample = has_sample_axis(inputs)
    _check_arrays(inputs, arrays, by_sample, source)
    for declared in inputs:
        remark = cast_remark(arrays[declared.name].dtype, declared)
        if remark and remark not in remarks:
            remarks.append(remark)
    shapes = [arrays[declared.name].shape for declared in inputs]
    if not by_sample:
        _require_elements(inputs, shapes, source)
        return _one_batch(inputs, arrays, labels, source)

    batched = [declared for declared in inputs if declared.dims]
    lengths = {declared.name: arrays[declared.name].shape[0] for declared in batched}
    if labels is not None:
        lengths[LABELS] = _label_count(labels, source)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise InputError(f"{source}: the arrays' first axes, which count samples, differ: {listed}")
    available = next(iter(lengths.values()))
    if available == 0:
        raise InputError(f"{source}: holds no samples (the arrays' first axis is 0)")
    _require_elements(inputs, shapes, source)
    count = min(available, samples or available)
    return Samples(count, _batches(inputs, arrays, labels, count, source), labels is not None)


def _check_arrays(
    inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column], by_sample: bool, source: str
) -> None:
    sizes: dict[str, int] = {}
    for declared in inputs:
        column = arrays[declared.name]
        require_type(column.dtype, declared, source)
        if declared.dims is None:
            continue
        skip = 1 if by_sample and declared.dims else 0
        same_rank = len(declared.dims) == len(column.shape)
        if not same_rank or not bind(declared.dims[skip:], column.shape[skip:], sizes):
            raise InputError(
                f"{source}: array '{declared.name}' has shape {format_dims(column.shape)}, "
                f"and the model takes {declared}"
                + (" with any number of samples along the first axis" if skip else "")
            )


def _require_elements(inputs: Sequence[DeclaredInput], shapes: Iterable[Sequence[int]], source: str) -> None:
    """Refuse inputs that are empty, all of them: nothing could come of them."""
    sizes = [math.prod(shape) for shape in shapes]
    if sizes and not any(sizes):
        listed = ", ".join(f"'{declared.name}' {declared}" for declared in inputs)
        raise InputError(
            f"{source}: a dimension of 0 leaves nothing to compute with: the inputs are {listed}"
        )


def _label_count(labels: Column, source: str) -> int:
    if len(labels.shape) != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{source}: 'labels' must be one integer per sample, "
            f"got {labels.dtype} {format_dims(labels.shape)}"
        )
    return labels.shape[0]


def _one_batch(
    inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column], labels: Column | None, source: str
) -> Samples:
    if labels is not None:
        raise InputError(
            f"{source}: has 'labels', but the model's inputs have no common first axis for samples"
        )
    whole = {item.name: as_declared(arrays[item.name].whole(), item, source) for item in inputs}
    return Samples(1, iter([Batch(whole, 1)]))


def _batches(
    inputs: Sequence[DeclaredInput],
    arrays: Mapping[str, Column],
    labels: Column | None,
    count: int,
    source: str,
) -> Iterator[Batch]:
    constants = {item.name: arrays[item.name].whole() for item in inputs if not item.dims}
    rows, fixed = rows_per_batch(inputs, {name: column.shape for name, column in arrays.items()})
    for start in range(0, count, rows):
        size = min(rows, count - start)
        batch = {}
        for declared in inputs:
            if declared.name in constants:
                array = constants[declared.name]
            else:
                array = arrays[declared.name].rows(size)
                if fixed and size < rows:
                    array = np.concatenate([array, np.repeat(array[-1:], rows - size, axis=0)])
            batch[declared.name] = as_declared(array, declared, source)
        yield Batch(batch, size, None if labels is None else labels.rows(size))
