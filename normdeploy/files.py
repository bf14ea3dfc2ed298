"""Output files that are written whole or not at all, and temporary folders that do not stay behind.

What is being written stands in a folder of its own, whose lock the writing process holds: when that process
is killed, the kernel frees the lock, and the next one to write there knows that the folder is left over. Of
locks that another machine holds on a shared disk the kernel knows nothing, so the folder's name tells which
kernel was running.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
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

_SCRATCH = re.compile(rf".*{re.escape(_MARK)}(?P<kernel>[0-9a-f]{{8}})-[a-z0-9_]{{8}}", re.DOTALL)
"""Their whole names; the end is what tempfile.mkdtemp appends."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FOREIGN_SECONDS = 86_400.0
"""After which a folder is left over that was made on another machine, or before this one was started."""

_NAME_BYTES = 128
"""Of a target's name that stand in its temporary folder's name: file systems limit both to 255 bytes."""

_ACCESS_LIST = "system.posix_acl_access"
"""What a file's mode does not tell of its permissions."""

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
    raises, or the process is ended at any point, the target stays as it was or is the new one whole. If a
    file cannot be moved, those go again that were not there before.

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
        with _locked_folder(target.parent, f".{_beginning(target.name)}") as folder:
            yield folder / target.name
            replaces = target.exists()
            if replaces:
                _settle(*folder.iterdir())
            places = _places(folder, target)
            with _alone(target.parent) as alone, undisturbed():
                _move(places)
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
            locked = stack.enter_context(_locked_folder(parent))
            folder = locked / "files"  # of which others may hold the lock: see `_alone`
            folder.mkdir()
        except OSError as error:
            reason = f"no folder for temporary files ({error.strerror or error})"
            raise UsageError(f"{reason}: make room, or name another place in TMPDIR") from error
        yield folder


@contextmanager
def _locked_folder(parent: Path, beginning: str = "") -> Iterator[Path]:
    """A fresh folder that this process holds the lock of; those of processes that have ended go."""
    prefix = f"{beginning}{_MARK}{_kernel()}-"
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
            with contextlib.suppress(OSError):  # of file systems without locks, where nothing is left over
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
    for folder in parent.glob(f"*{glob.escape(_MARK)}*"):
        name = _SCRATCH.fullmatch(folder.name)
        if name is None:
            continue
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                status = os.fstat(lock)
                known = name["kernel"] == _kernel() or time.time() - status.st_mtime > _FOREIGN_SECONDS
                if status.st_uid == os.getuid() and known:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@cache
def _kernel() -> str:
    """Of the running kernel, which all containers of a machine share; another after each start."""
    started = _BOOT.read_bytes() if _BOOT.is_file() else b""
    return hashlib.sha256(started).hexdigest()[:8]


def _beginning(name: str) -> str:
    return os.fsencode(name)[:_NAME_BYTES].decode(errors="ignore")


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, so that two processes do not move files into it at once.

    Yields:
        Whether it could be had in good time.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while (had := _taken(lock)) is False and time.monotonic() < deadline:
            time.sleep(0.02)
        yield bool(had)
    finally:
        os.close(lock)


def _taken(lock: int) -> bool | None:
    """Whether the lock could be had; False where somebody else has it, None where there are no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _places(folder: Path, target: Path) -> dict[Path, Path]:
    """What has been written -> where it goes, in the order of moving; each with its place's permissions."""
    parts = sorted(folder.iterdir(), key=lambda part: part.name == target.name)
    places = {part: resolved_target(target.with_name(part.name)) for part in parts}
    for part, place in places.items():
        _keep_permissions(part, place if place.exists() else target)
    return places


def _keep_permissions(part: Path, place: Path) -> None:
    """Give a file the owner, the group, the mode and the access list of the one that it replaces."""
    with contextlib.suppress(FileNotFoundError):
        before = place.stat()
        for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):  # others than root may set the group
            with contextlib.suppress(PermissionError):
                os.chown(part, owner, group)
        same_group = part.stat().st_gid == before.st_gid
        part.chmod(stat.S_IMODE(before.st_mode) & (~0 if same_group else ~stat.S_IRWXG))
        with contextlib.suppress(OSError, AttributeError):  # there is none, or the system has none
            os.setxattr(part, _ACCESS_LIST, os.getxattr(place, _ACCESS_LIST))


def _move(places: Mapping[Path, Path]) -> None:
    added: list[Path] = []
    try:
        for part, place in places.items():
            is_new = not place.exists()
            os.replace(part, place)
            if is_new:
                added.append(place)
    except OSError:
        for place in added:
            place.unlink(missing_ok=True)
        raise


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
        raise UsageError(f"standard output takes one file, and {len(written)} are written: name a file")
    sys.stdout.flush()
    with written[0].open("rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _cannot_write(path: str | os.PathLike[str], error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    culprit = getattr(error, "filename", None)
    of = "" if culprit is None or culprit == os.fspath(path) or _MARK in str(culprit) else f": {culprit}"
    return UsageError(f"{os.fspath(path)}: cannot be written ({reason}{of})")
