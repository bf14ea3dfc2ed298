"""A user's own function between the data and the model, called once for each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis
from normdeploy.inputs.pieces import LABELS, Arrays, Piece, under_names, with_sample_axis
from normdeploy.inputs.user_code import array_of, arrays_of, load_function, user_code

Function = Callable[[Any], Any]
"""Takes one sample: an image as uint8 [H, W, 3], the array of data that has one, or {name: array} of data
that has several. Returns what the model takes for it: an array, or {name: array}."""


class Preprocess:
    """Calls the function, and checks what it gives.

    Args:
        function: the user's, or FILE.py:FUNCTION.
        inputs: what the model declares.

    Raises:
        UsageError: no such file or function.
        InputError: the file's own code fails.
    """

    def __init__(self, function: Function | str, inputs: Sequence[DeclaredInput]) -> None:
        self._inputs = inputs
        if isinstance(function, str):
            self._function, self._path = load_function(function)
        else:
            code = getattr(function, "__code__", None)
            self._function, self._path = function, Path(code.co_filename if code else "preprocess")

    def of(self, sample: Array | Arrays, origin: str, label: Array | None = None) -> dict[str, Array]:
        """What the model takes for one sample.

        Args:
            sample: the array, or the arrays by name.
            origin: of the sample.
            label: its class, which is kept.

        Raises:
            InputError: the function fails, or gives something else than one sample.
        """
        with user_code(self._path, f"preprocessing {origin}"):
            arrays = self._arrays(self._function(sample), f"{self._path}: what it returns for {origin}")
        if label is not None:
            arrays[LABELS] = label
        batch = with_sample_axis(self._inputs, arrays, origin)
        for name, array in batch.items():
            if has_sample_axis(self._inputs) and array.ndim and array.shape[0] != 1:
                raise InputError(
                    f"{self._path}: '{name}' has shape {list(array.shape)} for one sample ({origin}): its "
                    "first axis must be 1, or left out"
                )
        return batch

    def _arrays(self, result: object, origin: str) -> dict[str, Array]:
        """The result by the inputs' names: an array alone is that of the only input."""
        if isinstance(result, Mapping):
            return under_names(self._inputs, arrays_of(result, origin))
        array = array_of(result, origin)
        if len(self._inputs) != 1:
            raise InputError(
                f"{self._path}: returns one array, and the model takes {len(self._inputs)}: return "
                "{name: array}"
            )
        return {self._inputs[0].name: array}

    def through(self, pieces: Iterable[Piece]) -> Iterator[tuple[str, dict[str, Array]]]:
        """The sets of arrays of pieces whose arrays all have one row for each sample.

        Args:
            pieces: of the data as it is.

        Raises:
            InputError: arrays of different lengths, or what `of` raises.
        """
        for piece in pieces:
            for index, (row, label) in enumerate(_samples(piece)):
                (first, *others) = row.values()
                sample = row if others else first
                yield piece.origin, self.of(sample, f"sample {index} of {piece.origin}", label)


def _samples(piece: Piece) -> Iterator[tuple[dict[str, Array], Array | None]]:
    """Each sample of a piece, without the sample axis, and its class."""
    lengths = {name: column.shape[0] if column.shape else None for name, column in piece.columns.items()}
    known = set(lengths.values())
    if len(known) != 1 or None in known or known == {0} or lengths.keys() <= {LABELS}:
        listed = ", ".join(f"'{name}' {length or 'none'}" for name, length in lengths.items()) or "no arrays"
        raise InputError(f"{piece.origin}: to be preprocessed, arrays need a row for each sample: {listed}")
    (count,) = known
    for _ in range(count or 0):
        row = {name: column.rows(1)[0] for name, column in piece.columns.items()}
        label = row.pop(LABELS, None)
        yield row, None if label is None else np.asarray(label)
