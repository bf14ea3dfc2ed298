"""What processes that ended early leave of their output files and temporary folders: nothing that stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

from normdeploy import files, signals
from normdeploy.files import scratch_folder, write_text
from tests.killing import killed_at_each_call, run

WRITE = "import sys; from normdeploy.files import write_text; write_text(sys.argv[1], 'new' * 10_000)"
NEW = "new" * 10_000


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


def test_what_a_killed_process_leaves_goes_with_the_next_file_in_the_folder(tmp_path):
    """Whatever that file is called."""
    code = (
        "import os, sys; from normdeploy.files import staged\n"
        "with staged(sys.argv[1]) as part: part.touch(); os.kill(os.getpid(), 9)"
    )
    assert run(code, tmp_path / "a.txt").returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    write_text(tmp_path / "b.txt", "text")
    assert os.listdir(tmp_path) == ["b.txt"]


class Interruption:
    """A trace function that has a signal arrive before one instruction of the modules that it watches."""

    WATCHED = (files.__file__, signals.__file__, contextlib.__file__)

    def __init__(self, instruction: int) -> None:
        self.left = instruction

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename not in self.WATCHED:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)
        return self


def test_a_signal_at_any_instruction_leaves_nothing(tmp_path, monkeypatch):
    """At every third, as they are many. What it keeps from being removed is removed when Python ends."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # slow, where others use the disk
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.0)  # for locks of writers that were interrupted here
    target = tmp_path / "a.txt"
    traced, seen, done = sys.gettrace(), set(), False
    for instruction in range(1, 10_000, 3):
        target.write_text("old")
        interruption = Interruption(instruction)
        try:
            with signals.raised():
                sys.settrace(interruption)
                try:
                    write_text(target, "new")
                finally:
                    sys.settrace(traced)
            done = True
        except signals.Ended:
            pass
        assert done == (interruption.left > 0), instruction
        files._remove_all()
        assert os.listdir(tmp_path) == ["a.txt"], instruction
        seen.add(target.read_text())
        if done:
            break
    assert seen == {"old", "new"}
    assert done


def test_folders_of_others_stay(tmp_path, monkeypatch):
    """Those in use, and those that only look alike."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = tmp_path / "normdeploy-checkout"
    mine.mkdir()
    alike = [tmp_path / f".normdeploy-scratch-{files._kernel()}-{end}" for end in ("file0000", "link0000")]
    alike[0].write_text("a file")
    alike[1].symlink_to(mine)
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
    assert set(tmp_path.iterdir()) == {mine, *alike}


def test_folders_that_another_machine_makes_stay_for_a_day(tmp_path):
    """On a disk that machines share, nobody here knows whether they are in use."""
    for age, stays in ((0.0, True), (2 * files._FOREIGN_SECONDS, False)):
        other = tmp_path / ".m.onnx.normdeploy-scratch-00000000-abcdefgh"
        other.mkdir()
        made = other.stat().st_mtime - age
        os.utime(other, (made, made))
        write_text(tmp_path / "a.txt", "text")
        assert other.exists() == stays
        shutil.rmtree(other, ignore_errors=True)
