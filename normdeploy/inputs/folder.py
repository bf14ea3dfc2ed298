"""What is in a folder of data: images, or shards of arrays, in the order of their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normdeploy.errors import InputError

ARRAY_SUFFIXES = (".npz", ".npy")
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Folder:
    """The files of a folder and of the folders inside it.

    Args:
        path: of the folder.
        files: those that are used, by their paths within the folder: all images, or all shards.
        images: whether they are images.
        others: those of other types, which are left out.
    """

    path: Path
    files: Sequence[str]
    images: bool
    others: Sequence[str]

    def remarks(self, table: str | os.PathLike[str] | None = None) -> list[str]:
        """What is left out, in a line.

        Args:
            table: a file that may lie in the folder and is used otherwise.
        """
        others = [
            name
            for name in self.others
            if table is None or (self.path / name).resolve() != Path(table).resolve()
        ]
        if not others:
            return []
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        many = f"{len(others)} files of other types are" if len(others) > 1 else "a file of another type is"
        return [f"{self.path}: {many} left out: {shown}"]


def read_folder(path: Path) -> Folder:
    """List a folder; names that start with a dot are passed over, and no link to a folder is followed.

    Args:
        path: of the folder.

    Raises:
        InputError: it cannot be listed, or holds no data, or images and arrays both.
    """
    names = _names(path)
    images = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    arrays = [name for name in names if Path(name).suffix.lower() in ARRAY_SUFFIXES]
    if images and arrays:
        raise InputError(
            f"{path}: holds images and arrays both ({images[0]}, {arrays[0]}): give a folder of either"
        )
    files = images or arrays
    if not files:
        known = ", ".join((*ARRAY_SUFFIXES, *IMAGE_SUFFIXES))
        raise InputError(f"{path}: holds no data: none of its {len(names)} files ends in {known}")
    others = sorted(set(names) - set(files))
    return Folder(path, files, bool(images), others)


def _names(path: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename or path}: cannot be listed ({error.strerror})") from error

    found = []
    for place, folders, files in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(place).relative_to(path)
        found += [
            (within / name).as_posix()
            for name in files
            if not name.startswith(".")
            and os.path.isfile(os.path.join(place, name))  # no pipe, which would wait for ever
        ]
    return sorted(found)
