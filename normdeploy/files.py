"""Output files that are written whole or not at all, and temporary folders that do not stay behind.

What is being written stands in a folder of its own, whose lock the writing process holds: when that process
is killed, the kernel frees the lock, and the next one to write there knows that the folder is left over.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from normdeploy.errors import UsageError
from normdeploy.signals import undisturbed

STDOUT = "-"
_STDOUT_NAMES = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_MARK = ".normdeploy-scratch-"
"""In the names of our temporary folders, and of nobody else's: what is left over of them is removed."""

_RANDOM = "[a-z0-9_]" * 8
"""What tempfile.mkdtemp appends, as a glob pattern."""

_NAME_CHARACTERS = 64
"""Of a target's name that stand in its temporary folder's name: file systems limit both to 255 bytes."""

_KINDS = {
    stat.S_IFDIR: "a folder; name a file to write",
    stat.S_IFCHR: "a device, not a file: name a file to write",
    stat.S_IFBLK: "a device, not a file: name a file to write",
    stat.S_IFIFO: "a pipe, not a file: name a file to write",
    stat.S_IFSOCK: "a socket, not a file: name a file to write",
}
"""Types of files that are not replaced -> what to say."""


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether a path stands for standard output."""
    return os.fspath(path) in _STDOUT_NAMES


def resolved_target(path: str | os.PathLike[str]) -> Path:
    """The file that a path leads to, through links, which need not exist yet.

    Raises:
        UsageError: it is a folder, a device, a pipe or a socket, or its links go round in circles.
    """
    try:
        target = Path(os.path.realpath(path))
        kind = stat.S_IFMT(os.stat(target).st_mode)
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if kind in _KINDS:
        raise UsageError(f"{os.fspath(path)}: is {_KINDS[kind]}")
    return target


@contextmanager
def staged(path: str | os.PathLike[str], finish: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a path in a fresh folder beside `path`; on success move everything written there into place.

    The file that the caller writes has the name of `path`. Files written next to it (an ONNX model's
    external data) move too, before it, so that the file that refers to them appears last. If the body
    raises, or the process is ended at any point, the target stays as it was or is the new one whole.

    A link is written through, and a file that exists keeps its permissions. `-` and /dev/stdout stand for
    standard output, which takes a single file.

    Args:
        path: of the file to write.
        finish: called with the target once all is in its place, while no other process moves files into
            the same folder.

    Raises:
        UsageError: it cannot be written, or is no file; or several files are meant for standard output.
    """
    if is_stdout(path):
        with scratch_folder() as folder:
            yield folder / "output"
            _copy_to_stdout(folder)
        return
    target = resolved_target(path)
    try:
        with _locked_folder(target.parent, f".{target.name[:_NAME_CHARACTERS]}{_MARK}") as folder:
            yield folder / target.name
            with _alone(target.parent), undisturbed():
                _move_into_place(folder, target)
                if finish is not None:
                    finish(target)
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all; see `staged`."""
    with staged(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, removed on leaving; one whose process was killed is removed by the next one."""
    with _locked_folder(Path(tempfile.gettempdir()), _MARK) as locked:
        folder = locked / "files"  # of which others may hold the lock: see `_alone`
        folder.mkdir()
        yield folder


@contextmanager
def _locked_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A fresh folder that this process holds the lock of; those of processes that have ended go."""
    _remove_leftovers(parent, prefix)
    made: list[tuple[Path, int]] = []
    try:
        with undisturbed():
            made.append(_fresh_folder(parent, prefix))
        yield made[0][0]
    finally:
        with undisturbed():
            for folder, lock in made:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _fresh_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # another process took it for left over
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the folders of this user that no process holds the lock of."""
    for folder in parent.glob(f"{glob.escape(prefix)}{_RANDOM}"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that two processes do not move files into it at once."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _move_into_place(folder: Path, target: Path) -> None:
    for part in sorted(folder.iterdir(), key=lambda part: part.name == target.name):
        place = target.parent / part.name
        _keep_permissions(part, place)
        os.replace(part, place)


def _keep_permissions(part: Path, place: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        before = place.stat()
        part.chmod(stat.S_IMODE(before.st_mode))
        with contextlib.suppress(PermissionError):
            os.chown(part, before.st_uid, before.st_gid)


def _copy_to_stdout(folder: Path) -> None:
    written = list(folder.iterdir())
    if len(written) != 1:
        raise UsageError("standard output takes one file, and the model's tensors need another: name a file")
    sys.stdout.flush()
    with written[0].open("rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _cannot_write(path: str | os.PathLike[str], error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"{os.fspath(path)}: cannot be written ({reason})")
