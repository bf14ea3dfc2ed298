"""What a user brings as data: which kind it is, and its pieces."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis
from normdeploy.inputs.factory import factory_sets
from normdeploy.inputs.folder import IMAGE_SUFFIXES, Folder, read_folder
from normdeploy.inputs.images import ImageOptions, ImageReader, read_rgb
from normdeploy.inputs.labels import folder_labels
from normdeploy.inputs.npz import columns_of
from normdeploy.inputs.pieces import LABELS, Arrays, Piece, Source, grouped
from normdeploy.inputs.preprocess import Function, Preprocess
from normdeploy.inputs.shards import Paths, count_samples, open_arrays, read_shards
from normdeploy.inputs.user_code import is_function_reference

Data = str | os.PathLike[str] | Mapping[str, Array]
"""What a user brings: an .npz or .npy file, a folder of either or of images, an image, FILE.py:FUNCTION that
yields {name: array}, or arrays by name."""


@dataclass(frozen=True)
class Preparation:
    """What is done to the data before the model takes it.

    Args:
        preprocess: a function or FILE.py:FUNCTION, called for each sample; or what becomes of images.
        labels: a CSV file with the class of each file of a folder.
    """

    preprocess: Function | str | ImageOptions | None = None
    labels: str | os.PathLike[str] | None = None


@contextmanager
def open_source(inputs: Sequence[DeclaredInput], data: Data, preparation: Preparation) -> Iterator[Source]:
    """The pieces of the data; its files are closed at the end.

    Args:
        inputs: what the model declares.
        data: what the user brings.
        preparation: what is done to it.

    Raises:
        InputError: data that cannot be read or does not fit.
        UsageError: a preparation for data of another kind.
    """
    folder = None
    if not isinstance(data, Mapping):
        path = Path(data)
        if os.path.isdir(path):
            folder = read_folder(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(path):
            folder = Folder(path.parent, [path.name], images=True, others=())
    if preparation.labels is not None and folder is None:
        raise UsageError("a table of labels belongs to a folder: save 'labels' beside the other arrays")
    if isinstance(preparation.preprocess, ImageOptions) and (folder is None or not folder.images):
        raise UsageError("--resize, --crop, --mean, --std and --layout are for images: use --preprocess")
    if folder is not None and folder.images:
        source = _images(inputs, folder, preparation)
    elif folder is not None:
        source = _shards(inputs, folder, preparation)
    else:
        source = _single(inputs, data, preparation)
    with closing(source.pieces):
        yield source


def _single(inputs: Sequence[DeclaredInput], data: Data, preparation: Preparation) -> Source:
    """Arrays in memory or in one file, or a factory."""
    function = cast("Function | str | None", preparation.preprocess)
    if isinstance(data, Mapping):
        piece = Piece("the data", columns_of(data))
        return _prepared(inputs, (piece for _ in range(1)), function, None)
    if Path(data).suffix == ".py":
        raise UsageError(f"{data}: name the function in it that yields {{name: array}}: FILE.py:FUNCTION")
    if is_function_reference(str(data)) and not os.path.exists(data):
        if function is not None:
            raise UsageError(f"'{data}' yields what the model takes: call the preprocessing there")
        return Source(grouped(inputs, factory_sets(str(data))))
    return _prepared(inputs, _file(Path(data), inputs), function, None)


def _file(path: Path, inputs: Sequence[DeclaredInput]) -> Generator[Piece, None, None]:
    with open_arrays(path, inputs) as columns:
        yield Piece(str(path), columns)


def _prepared(
    inputs: Sequence[DeclaredInput],
    pieces: Generator[Piece, None, None],
    function: Function | str | None,
    count: int | None,
    remarks: Sequence[str] = (),
) -> Source:
    if function is None:
        return Source(pieces, count, whole=count is None, remarks=list(remarks))
    sets = Preprocess(function, inputs).through(pieces)
    return Source(grouped(inputs, sets), count, remarks=list(remarks))


def _shards(inputs: Sequence[DeclaredInput], folder: Folder, preparation: Preparation) -> Source:
    labels = folder_labels(folder, preparation.labels)
    paths: Paths = [
        (folder.path / file, None if labels is None else labels[index])
        for index, file in enumerate(folder.files)
    ]
    function = cast("Function | str | None", preparation.preprocess)
    by_sample = function is not None or has_sample_axis(inputs)
    count = count_samples(paths, inputs, by_sample)
    return _prepared(inputs, read_shards(paths, inputs), function, count, folder.remarks(preparation.labels))


def _images(inputs: Sequence[DeclaredInput], folder: Folder, preparation: Preparation) -> Source:
    labels = folder_labels(folder, preparation.labels)
    remarks = folder.remarks(preparation.labels)
    paths = [folder.path / file for file in folder.files]
    preprocess = preparation.preprocess
    if preprocess is None or isinstance(preprocess, ImageOptions):
        if len(inputs) != 1:
            raise InputError(
                f"{folder.path}: images fill one input, and the model has {len(inputs)}: use a factory, "
                "FILE.py:FUNCTION that yields {name: array}"
            )
        reader = ImageReader(inputs[0], preprocess or ImageOptions())
        remarks += reader.remarks()
        sets = _read(reader, inputs[0].name, paths, labels)
    else:
        sets = _by_function(Preprocess(preprocess, inputs), paths, labels)
    return Source(grouped(inputs, sets), len(paths), remarks=remarks)


def _read(
    reader: ImageReader, name: str, paths: Sequence[Path], labels: Sequence[int] | None
) -> Iterator[tuple[str, Arrays]]:
    for index, path in enumerate(paths):
        image = reader.read(path)[np.newaxis]
        yield str(path), {name: image} if labels is None else {name: image, LABELS: np.array([labels[index]])}


def _by_function(
    preprocess: Preprocess, paths: Sequence[Path], labels: Sequence[int] | None
) -> Iterator[tuple[str, Arrays]]:
    for index, path in enumerate(paths):
        label = None if labels is None else np.array(labels[index])
        yield str(path), preprocess.of(read_rgb(path), str(path), label)
