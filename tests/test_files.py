"""Output files whole or not at all; nothing else replaced; nothing left behind."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from normdeploy import files
from normdeploy.errors import UsageError
from normdeploy.files import is_stdout, scratch_folder, staged, write_text

WRITE = "import sys; from normdeploy.files import write_text; write_text(sys.argv[1], 'new')"
CHECKOUT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def test_a_text_is_written_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_body_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), staged(target) as part:
        _fail_after(part)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def _fail_after(part: Path) -> None:
    part.write_text("new")
    raise ZeroDivisionError


def test_files_beside_the_main_one_move_first(tmp_path, monkeypatch):
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(b).name), replace(a, b)))
    with staged(tmp_path / "b.onnx") as part:
        part.write_text("model")
        part.with_name("z.data").write_text("data")
        part.with_name("a.data").write_text("data")
    assert moved == ["a.data", "z.data", "b.onnx"]


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to("real/a.txt")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "real" / "a.txt").read_text() == text
    assert sorted(os.listdir(tmp_path)) == ["link.txt", "real"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_permissions(tmp_path, mode):
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(mode)
    write_text(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_group_that_cannot_be_kept_gives_no_rights_to_another(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o664)
    monkeypatch.setattr(os, "chown", refuse)
    kept = target.stat().st_gid
    stat_of = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: _of_group(stat_of(path, **how), path, target, kept))
    write_text(target, "new")
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o604


def _of_group(status: os.stat_result, path: Path, target: Path, group: int) -> os.stat_result:
    fields = list(status)
    fields[stat.ST_GID] = group + 1 if path == target else group
    return os.stat_result(fields)


def test_an_existing_file_keeps_its_access_list(tmp_path):
    """Where there is one, the mode's bits for the group are the most that it grants to anybody."""
    target = tmp_path / "a.txt"
    target.write_text("old")
    entries = [(0x01, 6, 2**32 - 1), (0x02, 6, 65534), (0x04, 0, 2**32 - 1), (0x10, 6, 2**32 - 1)]
    entries += [(0x20, 0, 2**32 - 1)]  # of the owner, a user, the group, the mask, others
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(target, "system.posix_acl_access", access)
    except (OSError, AttributeError):
        pytest.skip("this file system has no access lists")
    write_text(target, "new")
    assert os.getxattr(target, "system.posix_acl_access") == access


def test_files_beside_one_that_cannot_be_replaced_go_again(tmp_path, monkeypatch):
    """As in a folder whose files others own; what was there before stays."""
    (tmp_path / "b").write_text("old")
    replace = os.replace

    def refuse(part: Path, place: Path) -> None:
        if Path(place).name == "b":
            raise PermissionError(1, "Operation not permitted")
        replace(part, place)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UsageError, match="not permitted"), staged(tmp_path / "b") as part:
        _write_two(part)
    assert os.listdir(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "old"


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(time, "sleep", refuse)  # nobody is waited for
    for text in ("old", "new"):
        write_text(tmp_path / "a.txt", text)
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_new_file_beside_an_existing_one_gets_its_permissions(tmp_path):
    """Weights beside a private model are private."""
    target = tmp_path / "m.onnx"
    target.write_text("old")
    target.chmod(0o600)
    with staged(target) as part:
        part.write_text("new")
        part.with_name("m.data").write_text("data")
    assert {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()} == {
        "m.onnx": 0o600,
        "m.data": 0o600,
    }


@pytest.mark.parametrize("through", ["itself", "link"])
def test_a_write_protected_file_stays(tmp_path, monkeypatch, through):
    """As the caches of DVC and git-annex are, into which links lead."""
    (tmp_path / "cache").mkdir()
    target = tmp_path / "cache" / "a.txt"
    target.write_text("old")
    target.chmod(0o444)
    named = target
    if through == "link":
        named = tmp_path / "link"
        named.symlink_to(target)
    if os.getuid() == 0:  # root may do everything: what anybody else is told
        monkeypatch.setattr(os, "access", lambda path, how: bool(Path(path).stat().st_mode & 0o222))
    with pytest.raises(UsageError, match=rf"^{named}: cannot be written \(it is write-protected\)"):
        write_text(named, "new")
    assert target.read_text() == "old"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_files_beside_the_main_one_are_treated_alike(tmp_path, kind):
    """What is no file stays, and nothing is written; a link is written through."""
    beside = tmp_path / "a.json"
    make = {"pipe": os.mkfifo, "device": _device, "folder": os.mkdir}
    make.get(kind, lambda path: path.symlink_to("real"))(beside)
    before = beside.lstat().st_ino

    def write() -> None:
        with staged(tmp_path / "a") as part:
            part.write_text("main")
            part.with_name("a.json").write_text("beside")

    if kind == "link":
        write()
        assert (tmp_path / "real").read_text() == "beside"
    else:
        with pytest.raises(UsageError, match=f"a.json: is a {kind}"):
            write()
        assert os.listdir(tmp_path) == ["a.json"]
    assert beside.lstat().st_ino == before


def test_a_lock_that_another_program_holds_does_not_hang(tmp_path, monkeypatch):
    """`flock folder normdeploy ...`: the file is written, and what needs the lock is left to the next one."""
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.0)
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with staged(tmp_path / "a.txt", finish=lambda target: target.unlink()) as part:
            part.write_text("text")
    finally:
        os.close(lock)
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", ["lost", "file"])
def test_no_folder_for_temporary_files(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / place))
    with pytest.raises(UsageError, match=r"no folder for temporary files .*TMPDIR"), scratch_folder():
        raise AssertionError


def test_an_error_names_the_file_that_it_is_about(tmp_path):
    with pytest.raises(UsageError, match=r"a.txt: cannot be written \(No such file or directory: .*lost"):
        _copy_what_is_lost(tmp_path)


def _copy_what_is_lost(folder: Path) -> None:
    with staged(folder / "a.txt") as part:
        part.write_text((folder / "lost").read_text())


def test_a_text_that_is_not_unicode_is_written_with_escapes(tmp_path):
    write_text(tmp_path / "a.txt", os.fsdecode(b"\xff.onnx"))
    assert (tmp_path / "a.txt").read_text() == r"\udcff.onnx"


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "pipe"), (_device, "device"), (_socket, "socket"), (os.mkdir, "folder")],
    ids=("pipe", "device", "socket", "folder"),
)
@pytest.mark.parametrize("through", ["itself", "link"])
def test_what_is_no_file_is_refused_and_stays(tmp_path, monkeypatch, make, kind, through):
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 characters only
    target = Path("odd")
    make(target)
    before = target.stat()
    named = target
    if through == "link":
        named = Path("link")
        named.symlink_to(target)
    with pytest.raises(UsageError, match=rf"^{named}: is a {kind}"):
        write_text(named, "text")
    assert target.stat().st_mode == before.st_mode
    assert target.stat().st_ino == before.st_ino


@pytest.mark.parametrize("path", ["missing/a.txt", "a\0b", "x" * 300, "loop"])
def test_a_path_that_cannot_be_written(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    with pytest.raises(UsageError, match="cannot be written"):
        write_text(path, "text")
    assert os.listdir(tmp_path) == ["loop"]


@pytest.mark.parametrize("character", ["ü", "😀", "x"])
def test_a_long_name_is_written(tmp_path, character):
    name = character * (255 // len(character.encode()))
    write_text(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    "name", ["-", "/dev/stdout", "/dev/fd/1", "//dev/stdout", "/dev/../dev/stdout", "/proc/self/fd/1", "link"]
)
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_standard_output(tmp_path, monkeypatch, name, into):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("/dev/stdout")
    assert is_stdout(name)
    command = [sys.executable, "-c", WRITE, name]
    if into == "pipe":
        written = subprocess.run(command, capture_output=True, env=CHECKOUT, text=True, check=True).stdout
    else:
        with Path("out").open("w") as out:
            subprocess.run(command, stdout=out, env=CHECKOUT, check=True)
            assert os.fstat(out.fileno()).st_nlink == 1
        written = Path("out").read_text()
    assert written == "new"


@pytest.mark.parametrize("name", ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2", "/dev/fd/63"])
def test_another_open_stream_is_refused(tmp_path, name):
    """The file behind it is somebody's log, and open: it would be replaced under their hands."""
    log = tmp_path / "log"
    with log.open("w") as err:
        command = [sys.executable, "-c", WRITE, name]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=err, env=CHECKOUT, check=False)
        assert os.fstat(err.fileno()).st_nlink == 1
    assert done.returncode == 1
    assert log.read_text().endswith(f"{name}: is an open stream, not a file: name a file to write\n")


def test_a_name_that_ends_as_folders_do_is_one(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        write_text(f"{tmp_path}/new/", "text")
    assert os.listdir(tmp_path) == []


def _write_two(part: Path) -> None:
    part.write_text("a")
    part.with_name(f"{part.name}.data").write_text("b")


def test_standard_output_takes_one_file(capsysbinary):
    with pytest.raises(UsageError, match="name a file"), staged("-") as part:
        _write_two(part)
    assert capsysbinary.readouterr().out == b""
