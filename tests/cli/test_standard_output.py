"""Standard output that is full, closed or knows ASCII only."""

import os
import signal
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


@pytest.mark.parametrize("arguments", [["optimize", "{model}", "-o", "-"], ["check", "--help"]])
def test_one_that_nobody_reads(model, arguments):
    """The exit code is not 1, which is for wrong numbers."""
    reading, writing = os.pipe()
    os.close(reading)
    done = started(*(part.format(model=model) for part in arguments), stdout=writing)
    os.close(writing)
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stderr == b""


@pytest.mark.parametrize("closed", [(0, 2), (2,), (0,)])
def test_the_other_streams_closed(model, closed):
    """No file gets their numbers, into which libraries would write what they have to say."""

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    done = started("optimize", model, "-o", model.with_name("out.onnx"), preexec_fn=close)
    assert done.returncode == 0
    refused = started("inspect", model.with_name("lost.onnx"), preexec_fn=close)
    assert refused.returncode == 2


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


PAGES = [
    ("check", "--samples", "1", "--backend", "onnxruntime", "--junit"),
    ("check", "--samples", "1", "--backend", "onnxruntime", "--html"),
    ("check", "--samples", "1", "--backend", "onnxruntime", "--json"),
    ("profile", "--duration", "0.1", "--backend", "onnxruntime", "--html"),
]


@pytest.mark.parametrize("arguments", PAGES, ids=lambda arguments: f"{arguments[0]} {arguments[-1]}")
def test_a_file_that_goes_there_is_all_that_goes_there(run, model, tmp_path, arguments):
    if arguments[-1] == "--html":
        pytest.importorskip("matplotlib")
    verb, *more = arguments
    file = tmp_path / "file"
    assert run(verb, model, *more, file).code == 0
    first, last = file.read_bytes().splitlines()[:1], file.read_bytes().splitlines()[-1:]
    for name in ("-", "/dev/stdout"):
        done = started(verb, model, *more, name, stdout=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        assert (done.stdout.splitlines()[:1], done.stdout.splitlines()[-1:]) == (first, last)


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("check", ("--json", "--junit")),
        ("check", ("--json", "--html")),
        ("check", ("--junit", "--html")),
        ("profile", ("--json", "--html")),
        ("optimize", ("--output", "--json")),
    ],
)
def test_two_files_cannot_both_go_there(run, model, verb, options):
    first, second = options
    outcome = run(verb, model, first, "-", second, "-")
    outcome.assert_refused(f"error: {first} and {second} cannot both be standard output")
    assert outcome.out == ""
