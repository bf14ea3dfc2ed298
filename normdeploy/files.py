"""Output files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from normdeploy.errors import UsageError


@contextmanager
def staged(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path in a fresh folder beside `path`; on success move everything written there into place.

    The file that the caller writes has the name of `path`. Files written next to it (an ONNX model's
    external data) move too, before it, so that the file that refers to them appears last. If the body
    raises, the target stays as it was.

    Raises:
        UsageError: the target's folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; name a file to write")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror})") from error
    try:
        yield folder / target.name
        for part in sorted(folder.iterdir(), key=lambda part: part.name == target.name):
            os.replace(part, target.parent / part.name)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all."""
    with staged(path) as part:
        part.write_text(text, encoding="utf-8")
