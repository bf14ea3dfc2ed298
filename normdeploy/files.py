"""Output files that are written whole or not at all, and temporary folders that do not stay behind.

What is being written stands in a folder of its own, whose lock the writing process holds: when that process
is killed, the kernel frees the lock, and the next one to write there knows that the folder is left over.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from normdeploy.errors import UsageError
from normdeploy.signals import undisturbed

STDOUT = "-"
_DESCRIPTORS = re.compile(r"/proc/\d+(/task/\d+)?/fd")
"""The folders of processes' open descriptors, which /dev/stdout and /dev/fd lead to."""

_MOST_LINKS = 40
"""That Linux follows."""

_MARK = ".normdeploy-scratch-"
"""In the names of our temporary folders, and of nobody else's: what is left over of them is removed."""

_RANDOM = "[a-z0-9_]" * 8
"""What tempfile.mkdtemp appends, as a glob pattern."""

_NAME_CHARACTERS = 64
"""Of a target's name that stand in its temporary folder's name: file systems limit both to 255 bytes."""

_PATIENCE_SECONDS = 10.0
"""To wait for a folder's lock, which others hold while they move files. Who holds it for longer is none of
them: `flock folder command` holds it for as long as the command runs, which may be this one."""

_made: dict[Path, tuple[int, int]] = {}
"""Temporary folders that are there still -> the process that made each, and the descriptor of its lock."""

_KINDS = {
    stat.S_IFDIR: "a folder; name a file to write",
    stat.S_IFCHR: "a device, not a file: name a file to write",
    stat.S_IFBLK: "a device, not a file: name a file to write",
    stat.S_IFIFO: "a pipe, not a file: name a file to write",
    stat.S_IFSOCK: "a socket, not a file: name a file to write",
}
"""Types of files that are not replaced -> what to say."""


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether a path stands for standard output: `-`, or what leads to this process's descriptor 1."""
    return os.fspath(path) == STDOUT or _descriptor(path) == Path(f"/proc/{os.getpid()}/fd/1")


def _descriptor(path: str | os.PathLike[str]) -> Path | None:
    """The open descriptor of a process that a path leads to, as /dev/stdout does, in /proc."""
    step = os.fspath(path)
    with contextlib.suppress(OSError, ValueError):
        for _ in range(_MOST_LINKS):
            folder, name = os.path.realpath(os.path.dirname(step)), os.path.basename(step)
            if _DESCRIPTORS.fullmatch(folder):
                return Path(folder, name)
            step = os.path.join(folder, os.readlink(os.path.join(folder, name)))
    return None


def resolved_target(path: str | os.PathLike[str]) -> Path:
    """The file that a path leads to, through links, which need not exist yet.

    Raises:
        UsageError: it is a folder, a device, a pipe, a socket or an open descriptor, or write-protected, or
            its links go round in circles.
    """
    try:
        target = Path(os.path.realpath(path))
        kind = stat.S_IFMT(os.stat(target).st_mode)
    except FileNotFoundError:
        kind = stat.S_IFDIR if os.fspath(path).endswith(os.sep) else 0
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if kind in _KINDS:
        raise UsageError(f"{os.fspath(path)}: is {_KINDS[kind]}")
    if _descriptor(path) is not None:
        raise UsageError(f"{os.fspath(path)}: is an open stream, not a file: name a file to write")
    if kind and not os.access(target, os.W_OK):
        raise UsageError(f"{os.fspath(path)}: cannot be written (it is write-protected)")
    return target


@contextmanager
def staged(path: str | os.PathLike[str], finish: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a path in a fresh folder beside `path`; on success move everything written there into place.

    The file that the caller writes has the name of `path`. Files written next to it (an ONNX model's
    external data) move too, before it, so that the file that refers to them appears last. If the body
    raises, or the process is ended at any point, the target stays as it was or is the new one whole.

    A link is written through, and a file that exists keeps its permissions, which new files beside it get
    too. `-` and /dev/stdout stand for standard output, which takes a single file.

    Args:
        path: of the file to write.
        finish: called with the target once all is in its place, while no other process moves files into
            the same folder; not called where that cannot be had.

    Raises:
        UsageError: it cannot be written, or is no file, or write-protected; or several files are meant for
            standard output.
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
            replaces = target.exists()
            if replaces:
                _settle(*folder.iterdir())
            places = _places(folder, target)
            with _alone(target.parent) as alone, undisturbed():
                for part, place in places.items():
                    os.replace(part, place)
                if finish is not None and alone:
                    if replaces:
                        _settle(target.parent)
                    finish(target)
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all; see `staged`."""
    with staged(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")  # of names that are not UTF-8


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, removed on leaving; one whose process was killed is removed by the next one.

    Raises:
        UsageError: there can be none.
    """
    with ExitStack() as stack:
        try:
            with undisturbed():  # it tries where a file can be written
                parent = Path(tempfile.gettempdir())
            locked = stack.enter_context(_locked_folder(parent, _MARK))
            folder = locked / "files"  # of which others may hold the lock: see `_alone`
            folder.mkdir()
        except OSError as error:
            reason = f"no folder for temporary files ({error.strerror or error})"
            raise UsageError(f"{reason}: make room, or name another place in TMPDIR") from error
        yield folder


@contextmanager
def _locked_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A fresh folder that this process holds the lock of; those of processes that have ended go."""
    made: list[Path] = []
    try:
        with undisturbed():
            _remove_leftovers(parent)
            made.append(_fresh_folder(parent, prefix))
        yield made[0]
    finally:
        with undisturbed():
            for folder in made:
                _remove(folder)


def _fresh_folder(parent: Path, prefix: str) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # another process took it for left over
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                _made[folder] = os.getpid(), lock
                return folder
            os.close(lock)


def _remove(folder: Path) -> None:
    if folder in _made:  # else `_remove_all` was first
        shutil.rmtree(folder, ignore_errors=True)
        os.close(_made.pop(folder)[1])


@atexit.register
def _remove_all() -> None:
    """Remove what a signal has kept from being removed: one that came just as an exception was on its way."""
    with undisturbed():
        for folder in [folder for folder, (maker, _) in _made.items() if maker == os.getpid()]:
            _remove(folder)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of this user that no process holds the lock of."""
    for folder in parent.glob(f"*{glob.escape(_MARK)}{_RANDOM}"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, so that two processes do not move files into it at once.

    Yields:
        Whether it could be had in good time.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not (had := _taken(lock)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield had
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody else's, or of a file system without locks
        return False
    return True


def _places(folder: Path, target: Path) -> dict[Path, Path]:
    """What has been written -> where it goes, in the order of moving; each with its place's permissions."""
    parts = sorted(folder.iterdir(), key=lambda part: part.name == target.name)
    places = {part: resolved_target(target.with_name(part.name)) for part in parts}
    for part, place in places.items():
        _keep_permissions(part, place if place.exists() else target)
    return places


def _keep_permissions(part: Path, place: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        before = place.stat()
        part.chmod(stat.S_IMODE(before.st_mode))
        with contextlib.suppress(PermissionError):
            os.chown(part, before.st_uid, before.st_gid)


def _settle(*paths: Path) -> None:
    """Have the disk hold files, or a folder's entries: the machine may stop before it would write them."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
                raise
        finally:
            os.close(descriptor)


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
    culprit = getattr(error, "filename", None)
    of = "" if culprit is None or culprit == os.fspath(path) or _MARK in str(culprit) else f": {culprit}"
    return UsageError(f"{os.fspath(path)}: cannot be written ({reason}{of})")
