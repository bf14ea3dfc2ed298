"""The small files: `small.onnx`, and beside it its inputs, what is right, a piece of the original, a text."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import ModelError
from normdeploy.graph.io import save
from normdeploy.reference import Evaluator
from normdeploy.validation.reduction.failures import Piece

_SUFFIX = ".onnx"


@dataclass(frozen=True)
class SmallFiles:
    """Where the files of a piece are.

    Args:
        model: of what is deployed, as `-o` names it.
        has_original: whether there is a piece of an original.
        has_expected: whether there is anything to expect; nobody knows of a model that the reference refuses.
    """

    model: Path
    has_original: bool
    has_expected: bool = True

    @property
    def data(self) -> Path:
        """The inputs, as `check --data` takes them."""
        return self._beside(".npz")

    @property
    def expected(self) -> Path:
        """The right outputs, in float64."""
        return self._beside(".expected.npz")

    @property
    def original(self) -> Path | None:
        """The original's piece."""
        return self._beside(".reference.onnx") if self.has_original else None

    @property
    def issue(self) -> Path:
        """The text for whoever mends it."""
        return self._beside(".md")

    @property
    def all(self) -> list[Path]:
        """Every file, the model first."""
        files = [
            self.model,
            self.original,
            self.data,
            self.expected if self.has_expected else None,
            self.issue,
        ]
        return [file for file in files if file is not None]

    def _beside(self, suffix: str) -> Path:
        return self.model.with_name(self.model.name.removesuffix(_SUFFIX) + suffix)


def write_piece(piece: Piece, files: SmallFiles) -> bool:
    """Write the models and their data; files that stand there are replaced.

    Returns:
        Whether there are right outputs to expect: a model that a backend crashes at may be one that the
        reference cannot compute either.

    Raises:
        NormdeployError: onnx.checker refuses the piece.
    """
    save(piece.model, files.model)
    if piece.original is not None and files.original is not None:
        save(piece.original, files.original)
    write_arrays(piece.inputs, files.data)
    try:
        expected = Evaluator(piece.original or piece.model).run(piece.inputs)
    except ModelError:
        return False
    write_arrays(expected, files.expected)
    return True


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write an .npz; its arrays may have any name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _plain(array), allow_pickle=False)


def _plain(array: Array) -> np.ndarray[Any, Any]:
    """Strings as NumPy's own, which no file needs pickling for."""
    return array.astype(str) if array.dtype.kind == "O" else np.asarray(array)
