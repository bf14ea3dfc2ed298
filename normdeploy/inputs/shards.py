"""Arrays that are spread over the files of a folder, one file open at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.npy import open_npy
from normdeploy.inputs.npz import Column, NpzFile, columns_of
from normdeploy.inputs.pieces import LABELS, Piece

Paths = Sequence[tuple[Path, int | None]]
"""Files, and the class of what is in each, where it is known."""


@contextmanager
def open_arrays(path: Path, inputs: Sequence[DeclaredInput]) -> Iterator[Mapping[str, Column]]:
    """The arrays of an .npz file, or that of an .npy file under the name of the model's only input.

    Args:
        path: of the file.
        inputs: what the model declares.

    Raises:
        InputError: a file that cannot be read, or an .npy file for a model with several inputs.
    """
    if path.suffix.lower() != ".npy":
        with NpzFile(path) as file:
            yield file.columns
        return
    if len(inputs) != 1:
        names = ", ".join(f"'{declared.name}'" for declared in inputs) or "none"
        raise InputError(
            f"{path}: one array, and the model's inputs are {names}: save them by name with numpy.savez"
        )
    yield columns_of({inputs[0].name: open_npy(path)})


def count_samples(paths: Paths, inputs: Sequence[DeclaredInput], by_sample: bool) -> int:
    """How many samples the files hold, by their headers.

    Args:
        paths: of the files.
        inputs: what the model declares.
        by_sample: whether the first axis of each array counts samples; otherwise each file is one.

    Raises:
        InputError: a file that cannot be read.
    """
    if not by_sample:
        return len(paths)
    count = 0
    for path, _ in paths:
        with open_arrays(path, inputs) as columns:
            count += next((column.shape[0] for column in columns.values() if column.shape), 0)
    return count


def read_shards(paths: Paths, inputs: Sequence[DeclaredInput]) -> Generator[Piece, None, None]:
    """A piece for each file, with the labels that the file holds, or those that its folder tells.

    Args:
        paths: of the files, in order.
        inputs: what the model declares.

    Raises:
        InputError: a file that cannot be read.
    """
    for path, label in paths:
        with open_arrays(path, inputs) as columns:
            yield Piece(str(path), columns if label is None else _labelled(columns, label, path))


def _labelled(columns: Mapping[str, Column], label: int, path: Path) -> dict[str, Column]:
    if LABELS in columns:
        raise InputError(f"{path}: holds 'labels', and its folder or the table of labels gives a class too")
    rows = next((column.shape[0] for column in columns.values() if column.shape), 0)
    return {**columns, **columns_of({LABELS: np.full(rows, label, np.int64)})}
