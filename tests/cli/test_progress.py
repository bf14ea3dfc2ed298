"""Progress of commands: on a terminal only, on standard error, and never in what they print."""

import os
import subprocess
import sys

import onnx
import pytest

from tests.builders import conv_lrn


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.onnx"
    onnx.save(conv_lrn(), path)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_stages_on_a_terminal(source, tmp_path):
    out = tmp_path / "out.onnx"
    assert "optimizing" in on_a_terminal("optimize", source, "-o", out)
    assert on_a_terminal("optimize", source, "-o", out, "--quiet") == ""


def test_nothing_in_a_pipe(source, tmp_path):
    arguments = command("optimize", source, "-o", tmp_path / "out.onnx")
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "normdeploy", *map(str, arguments)]


def on_a_terminal(*arguments: object) -> str:
    """What a command writes to standard error where that is a terminal; its output stays a single line."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = _read_all(ours)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    assert len(output.splitlines()) <= 1
    return written.decode()


def _read_all(terminal: int) -> bytes:
    """Until nobody holds its other end."""
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(terminal)
    return b"".join(pieces)
