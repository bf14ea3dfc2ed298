"""The inputs of a check, one batch at a time, from a file or generated."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError, UsageError
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.declared import DeclaredInput, bind, has_sample_axis
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape
from normdeploy.inputs.npz import Column, NpzFile, columns_of

Data = str | os.PathLike[str] | Mapping[str, Array]
"""What a user brings: the path of an .npz file, or arrays by name."""

LABELS = "labels"
"""The array with the true classes, unless the model has an input of that name."""

DEFAULT_SAMPLES = 8
"""Generated ones. Each magnitude of `generated` comes twice at least: one alone could be an easy case."""

_BATCH_BYTES = 2**20
"""Of one batch where the model leaves its size open; the reference's tensors take many times as much."""

_BATCH_ROWS = 64
"""Samples of one batch at most where the model leaves its size open, so that progress is shown."""


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
        count: of the samples.
        batches: those samples, in order; they can be gone through once.
        labelled: whether the batches have labels.
    """

    count: int
    batches: Iterator[Batch]
    labelled: bool = False


@contextmanager
def open_samples(
    inputs: Sequence[DeclaredInput], data: Data | None, samples: int | None, seed: int
) -> Iterator[Samples]:
    """The samples of a file or of arrays in memory, or generated ones.

    The first axis of each array counts samples, which are cut into batches that the model accepts. Where
    the inputs have no common first axis the arrays are one sample as they are.

    Args:
        inputs: what the model declares.
        data: an .npz file or its arrays: one per input, and `labels` if there are any.
        samples: how many; by default all of the data, or 8 generated ones.
        seed: of the generated ones.

    Raises:
        InputError: arrays that do not fit the inputs.
        UsageError: a number of samples below 1.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be at least 1, got {samples}")
    if data is None:
        yield _generated(inputs, samples or DEFAULT_SAMPLES, seed)
    elif isinstance(data, Mapping):
        yield _given(inputs, columns_of(data), samples, "the data")
    else:
        with NpzFile(data) as file:
            yield _given(inputs, file.columns, samples, str(file.path))


def _generated(inputs: Sequence[DeclaredInput], samples: int, seed: int) -> Samples:
    names = batch_names(inputs)
    shapes = {declared.name: resolved_shape(declared, names) for declared in inputs}
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


def _given(
    inputs: Sequence[DeclaredInput], columns: Mapping[str, Column], samples: int | None, source: str
) -> Samples:
    labels = None if any(declared.name == LABELS for declared in inputs) else columns.get(LABELS)
    arrays = {name: column for name, column in columns.items() if column is not labels}
    _check_names(inputs, arrays, source)
    by_sample = has_sample_axis(inputs)
    _check_arrays(inputs, arrays, by_sample, source)
    if not by_sample:
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
    count = min(available, samples or available)
    return Samples(count, _batches(inputs, arrays, labels, count), labels is not None)


def _check_names(inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column], source: str) -> None:
    declared = {item.name for item in inputs}
    wanted = ", ".join(f"'{item.name}' ({item})" for item in inputs) or "no arrays at all"
    for name in arrays:
        if name not in declared:
            raise InputError(f"{source}: array '{name}' is no input of the model, which takes {wanted}")
    for name in declared:
        if name not in arrays:
            raise InputError(f"{source}: there is no array '{name}': the model takes {wanted}")


def _check_arrays(
    inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column], by_sample: bool, source: str
) -> None:
    sizes: dict[str, int] = {}
    for declared in inputs:
        column = arrays[declared.name]
        if not _same_type(column.dtype, declared.dtype):
            raise InputError(
                f"{source}: array '{declared.name}' has type {column.dtype}, and the model takes "
                f"{declared}: convert it with .astype({_type_name(declared.dtype)!r})"
            )
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


def _same_type(given: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    if declared.kind == "O":
        return given.kind in "OSUT"
    if declared.kind == "V" and given.kind == "V":  # numpy.save forgets the names of ml_dtypes' types
        return given.itemsize == declared.itemsize
    return given.newbyteorder("=") == declared


def _type_name(dtype: np.dtype[Any]) -> str:
    return "str" if dtype.kind == "O" else dtype.name


def _as_declared(array: Array, declared: DeclaredInput) -> Array:
    if declared.dtype.kind == "O":
        return array.astype(object)
    if array.dtype.kind == "V":
        return array.view(declared.dtype)
    return array.astype(declared.dtype, copy=False)


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
    whole = {item.name: _as_declared(arrays[item.name].whole(), item) for item in inputs}
    return Samples(1, iter([Batch(whole, 1)]))


def _batches(
    inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column], labels: Column | None, count: int
) -> Iterator[Batch]:
    constants = {item.name: arrays[item.name].whole() for item in inputs if not item.dims}
    rows, fixed = _rows_per_batch(inputs, arrays)
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
            batch[declared.name] = _as_declared(array, declared)
        yield Batch(batch, size, None if labels is None else labels.rows(size))


def _rows_per_batch(inputs: Sequence[DeclaredInput], arrays: Mapping[str, Column]) -> tuple[int, bool]:
    """Samples per call, and whether the model takes exactly that many."""
    first = next(declared.dims[0] for declared in inputs if declared.dims)
    if isinstance(first, int):
        return max(first, 1), True
    row_bytes = sum(
        math.prod(arrays[declared.name].shape[1:]) * declared.dtype.itemsize
        for declared in inputs
        if declared.dims
    )
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1))), False
