"""Output files whole or not at all; nothing else replaced; nothing left behind."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from normdeploy.errors import UsageError
from normdeploy.files import scratch_folder, staged, write_text
from tests.killing import killed_at_each_call, run

WRITE = "import sys; from normdeploy.files import write_text; write_text(sys.argv[1], 'new' * 10_000)"
NEW = "new" * 10_000


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


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path):
    """At every call that renames, writes or removes; what it leaves over is removed by the next one."""
    target = tmp_path / "a.txt"
    seen = set()
    target.write_text("old")
    for _ in killed_at_each_call(WRITE, target):
        text = target.read_text()
        assert text in ("old", NEW)
        seen.add(text)
        write_text(target, "old")
        assert os.listdir(tmp_path) == ["a.txt"]
    assert seen == {"old", NEW}
    assert target.read_text() == NEW


def test_a_killed_process_leaves_no_scratch_folder_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = (
        "from normdeploy.files import scratch_folder\n"
        "with scratch_folder() as folder: (folder / 'a').write_text('a'); (folder / 'b').mkdir()"
    )
    leave = "from normdeploy.files import scratch_folder\nwith scratch_folder(): pass"
    for _ in killed_at_each_call(code):
        assert run(leave).returncode == 0
        assert not list(tmp_path.glob(".normdeploy*"))  # else: a file by which tempfile tries the folder


def test_folders_of_others_stay(tmp_path, monkeypatch):
    """Those in use, and those that only look alike."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = tmp_path / "normdeploy-checkout"
    mine.mkdir()
    (tmp_path / ".normdeploy-scratch-file0000").write_text("a file")
    (tmp_path / ".normdeploy-scratch-link0000").symlink_to(mine)
    with scratch_folder() as first, scratch_folder() as second:
        assert first.is_dir()
        assert second.is_dir()
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from normdeploy.files import scratch_folder\nwith scratch_folder(): pass",
            ],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            check=True,
        )
        assert done.returncode == 0
        assert first.is_dir()
        assert second.is_dir()
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "normdeploy-checkout",
        ".normdeploy-scratch-file0000",
        ".normdeploy-scratch-link0000",
    }


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


def test_a_long_name_is_written(tmp_path):
    name = "ü" * 120
    write_text(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(name):
    done = subprocess.run([sys.executable, "-c", WRITE, name], capture_output=True, text=True, check=True)
    assert done.stdout == NEW


def _write_two(part: Path) -> None:
    part.write_text("a")
    part.with_name("b").write_text("b")


def test_standard_output_takes_one_file(capsysbinary):
    with pytest.raises(UsageError, match="name a file"), staged("-") as part:
        _write_two(part)
    assert capsysbinary.readouterr().out == b""
