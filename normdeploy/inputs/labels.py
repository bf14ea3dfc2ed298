"""The classes of a folder's files: from the names of its subfolders, or from a CSV file."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from normdeploy.errors import InputError
from normdeploy.inputs.folder import Folder

_INTEGER = re.compile(r"[0-9]{1,9}")
_HEADINGS = ("file", "filename", "image", "path")


def folder_labels(folder: Folder, table: str | os.PathLike[str] | None) -> list[int] | None:
    """The class of each file.

    Names that are all integers are the classes themselves. Others are numbered from 0 in sorted order, as
    torchvision's ImageFolder does.

    Args:
        folder: whose files; a file's subfolder is its class, if there are at least two subfolders, or one
            that is named by an integer.
        table: a CSV file with two columns, a file's path within the folder and its class; a first line
            `file,label` is a heading. It decides alone.

    Returns:
        A class for each of `folder.files`; None if nothing tells them.

    Raises:
        InputError: a table that cannot be read, or that lacks files or has others; files in subfolders and
            beside them both.
    """
    if table is not None:
        return _from_table(folder, Path(table))
    names = [file.split("/")[0] if "/" in file else None for file in folder.files]
    beside = [file for file, name in zip(folder.files, names, strict=True) if name is None]
    classes = sorted({name for name in names if name is not None})
    if not classes or (len(classes) == 1 and not _INTEGER.fullmatch(classes[0])):
        return None
    if beside:
        raise InputError(
            f"{folder.path}: subfolders name classes ({classes[0]}, ...), and '{beside[0]}' is in none: "
            "move it into one, or give the classes with --labels FILE.csv"
        )
    return _numbered([str(name) for name in names])


def _numbered(names: Sequence[str]) -> list[int]:
    if all(_INTEGER.fullmatch(name) for name in names):
        return [int(name) for name in names]
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    return [number[name] for name in names]


def _from_table(folder: Folder, table: Path) -> list[int]:
    known = set(folder.files)
    found: dict[str, str] = {}
    for line, row in _rows(table):
        if len(row) != 2:
            raise InputError(f"{table}:{line}: expected a file and its class, got {len(row)} columns")
        file, label = row[0].strip().removeprefix("./"), row[1].strip()
        if line == 1 and file.lower() in _HEADINGS:
            continue
        if file not in known:
            raise InputError(f"{table}:{line}: there is no '{file}' in {folder.path}")
        if file in found:
            raise InputError(f"{table}:{line}: '{file}' is there twice")
        if not label:
            raise InputError(f"{table}:{line}: '{file}' has no class")
        found[file] = label
    for file in folder.files:
        if file not in found:
            missing = len(known) - len(found)
            raise InputError(f"{table}: has no class for '{file}' ({missing} of {len(known)} are missing)")
    return _numbered([found[file] for file in folder.files])


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    if os.path.exists(table) and not os.path.isfile(table):
        raise InputError(f"{table}: not a file")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror or error})") from error
    except (csv.Error, ValueError) as error:
        raise InputError(f"{table}: not a CSV file in UTF-8 ({error})") from error
