"""Standard output that is full, closed or knows ASCII only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import conv_lrn
from tests.cli.processes import ROOT

CODE = "import sys; from normdeploy.cli import main; sys.exit(main(sys.argv[1:]))"
FULL = Path("/dev/full")


def started(*arguments: object, **keywords) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **keywords.pop("env", {})}
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    return subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=False, **keywords)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.onnx"
    proto = conv_lrn()
    proto.graph.node[1].name = "größer → 😀"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [["inspect"], ["inspect", "--json", "-"], ["optimize", "-o", "-"], ["check", "--samples", "1"]],
)
def test_a_full_one(model, arguments):
    verb, *more = arguments
    with FULL.open("w") as full:
        done = started(verb, model, *more, stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"error: standard output cannot be written (No space left on device)\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_help_into_a_full_one():
    with FULL.open("w") as full:
        done = started("--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", ["inspect", "check"])
def test_a_closed_one(model, verb):
    done = started(verb, model, preexec_fn=lambda: os.close(1))
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: standard output is closed")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "arguments", [["inspect"], ["optimize", "-o", "{}", "--explain"], ["check", "--samples", "1"]]
)
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_one_that_knows_ascii_only(model, tmp_path, arguments, environment):
    verb, *more = (argument.format(tmp_path / "out.onnx") for argument in arguments)
    done = started(verb, model, *more, env=environment, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    if verb != "check":
        assert rb"gr\xf6\xdfer \u2192 \U0001f600" in done.stdout


def test_errors_where_ascii_only_is_known(model):
    path = model.with_name("größer.onnx")
    done = started("inspect", path, env={"PYTHONIOENCODING": "ascii"}, stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
