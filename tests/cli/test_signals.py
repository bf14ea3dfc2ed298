"""Signals at several points of several commands: nothing stays behind, and no process lives on."""

import os
import signal
import subprocess
import sys

import pytest

from normdeploy.backends.catalog import find
from normdeploy.signals import ENDING, Ended, raised, undisturbed
from tests.cli.crashing_for_cli import MARKED
from tests.cli.processes import interrupted

PREPARATIONS = {
    "optimize": """
import time
from tests.cli.processes import say_that_it_hangs
from normdeploy.graph import io
save = io.ir.save

def save_and_hang(model, path, **options):
    save(model, path, **options)
    say_that_it_hangs({model!r})
    time.sleep(1000)

io.ir.save = save_and_hang
""",
    "build": """
from normdeploy.engine import builder
builder._COMPILER = "tests.cli.misbehaving_compilers:hangs"
""",
}
BACKEND = """
import os
from normdeploy.backends import catalog
os.environ[{marked!r}] = {model!r}
catalog.BACKENDS["hang"] = catalog.Backend("hang", "tests.cli.crashing_for_cli:{where}")
"""
"""What makes a process hang: in place of a backend, of the compiler, or while the output is being written."""

CASES = {
    "check, loading": (["check", "{model}", "--backend", "hang"], "hangs"),
    "check, running": (["check", "{model}", "--backend", "hang"], "hangs_running"),
    "check, localizing": (["check", "{model}", "--backend", "hang", "--localize"], "hangs_on_a_part"),
    "profile, loading": (["profile", "{model}", "--backend", "hang"], "hangs"),
    "profile, running": (["profile", "{model}", "--backend", "hang"], "hangs_running"),
    "profile, layers": (
        ["profile", "{model}", "--backend", "hang", "--layers", "--duration", "0.1"], "hangs_in_layers"
    ),
    "optimize, writing": (["optimize", "{model}", "-o", "{folder}/out.onnx"], "optimize"),
    "build, compiling": (
        ["build", "{model}", "-o", "{folder}/e", "--backend", "tensorrt-rtx", "--shape", "x:1x3x6x6"], "build"
    ),
}  # fmt: skip


def end(case, good, folder, kind):
    """Send a signal at that point; the exit code and what was said."""
    arguments, where = CASES[case]
    preparation = PREPARATIONS.get(where, BACKEND).format(model=str(good), marked=MARKED, where=where)
    filled = [part.format(model=good, folder=folder) for part in arguments]
    return interrupted(filled, good, folder, kind, preparation)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    made.mkdir()
    return made


OFTEN = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
"""Those that Python, the system and the budget's own alarm may treat otherwise: at every point."""

ENDS = [
    pytest.param(case, kind, id=f"{case}-{kind.name}")
    for number, case in enumerate(CASES)
    for index, kind in enumerate(ENDING)
    if kind in OFTEN or index % len(CASES) == number
]
"""The others have one handler, and come once each."""


@pytest.mark.parametrize(("case", "kind"), ENDS)
def test_nothing_is_left(good, folder, case, kind):
    if case.startswith("build") and find("tensorrt-rtx").missing(without_gpu=True):
        pytest.skip("TensorRT-RTX is not installed")
    code, err = end(case, good, folder, kind)
    assert code == 128 + kind
    assert err.strip() == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("case", ["check, running", "check, localizing", "profile, layers"])
def test_what_a_killed_command_leaves_goes_with_the_next(good, folder, case):
    code, _ = end(case, good, folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert list(folder.iterdir()) != []
    arguments = ["check", str(good), "--backend", "onnxruntime", "--samples", "1"]
    subprocess.run(
        [sys.executable, "-m", "normdeploy", *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        check=True,
    )
    assert list(folder.iterdir()) == []


def test_an_output_that_a_killed_command_leaves_goes_with_the_next(good, folder):
    code, _ = end("optimize, writing", good, folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert [path.name for path in folder.iterdir()] != []
    subprocess.run(
        [sys.executable, "-m", "normdeploy", "optimize", good, "-o", folder / "out.onnx"], check=True
    )
    assert [path.name for path in folder.iterdir()] == ["out.onnx"]


@pytest.mark.usefixtures("free_alarm")
@pytest.mark.parametrize("kind", ENDING, ids=lambda kind: kind.name)
def test_a_signal_is_an_exception_and_the_handlers_come_back(kind):
    before = signal.getsignal(kind)
    with pytest.raises(Ended) as caught, raised():
        signal.raise_signal(kind)
    assert caught.value.number == kind
    assert signal.getsignal(kind) is before


def test_a_block_that_must_not_be_disturbed_runs_to_its_end():
    done = []

    def work():
        with undisturbed(), undisturbed():
            signal.raise_signal(signal.SIGTERM)
            done.append("inside")
        done.append("after")

    with pytest.raises(Ended, match="SIGTERM"), raised():
        work()
    assert done == ["inside"]


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
