"""The command as a process of its own: import time, interruption, broken pipes."""

import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from normdeploy.cli.app import VERBS
from tests.builders import conv_lrn


def weights() -> bytes:
    return conv_lrn().graph.initializer[0].raw_data


NUMERIC = ("numpy", "onnx", "onnx_ir", "sympy", "torch")
RUNTIMES = ("onnxruntime", "tensorrt", "tensorrt_rtx_bindings", "openvino")
HEAVY = (*NUMERIC, *RUNTIMES, "rich", "matplotlib")


def imported(code: str, among: Sequence[str]) -> list[str]:
    """Which of these modules Python code leaves imported."""
    report = f"import sys; print(*(name for name in {among!r} if name in sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1].split()


def command(*arguments: str) -> str:
    """Python code that runs a command line."""
    return f"from normdeploy.cli import main; main({list(arguments)!r})"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("no-such-verb",),
        ("check", "--no-such-option"),
        ("plugin", "build", "--help"),
        *((verb, "--help") for verb in VERBS),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments):
    assert imported(command(*arguments), HEAVY) == []


def test_importing_the_package_imports_nothing_heavy():
    assert imported("import normdeploy", HEAVY) == []


def test_no_runtime_is_imported_where_a_model_is_read(good):
    """The backends run in processes of their own."""
    assert imported(command("inspect", str(good)), (*RUNTIMES, "torch", "matplotlib")) == []
    assert imported(command("check", str(good), "--samples", "1"), (*RUNTIMES, "torch", "matplotlib")) == []


GOOD = conv_lrn().SerializeToString()
ODD_MODELS = {
    "a graph name that is not UTF-8": GOOD.replace(b"small", b"sm\x80ll"),
    "signalling NaN as weights": GOOD.replace(weights(), b"\x00\x00\xa0\x7f" * (len(weights()) // 4)),
}


@pytest.mark.parametrize("verb", ["check", "inspect"])
@pytest.mark.parametrize("oddity", ODD_MODELS)
def test_libraries_say_nothing_on_the_terminal(verb, oddity, tmp_path):
    path = tmp_path / "odd.onnx"
    path.write_bytes(ODD_MODELS[oddity])
    done = subprocess.run(
        [sys.executable, "-m", "normdeploy", verb, path], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1, 2, 3)
    assert (done.stderr == "") == (done.returncode != 2), done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr


def test_a_reader_that_goes_away_is_no_error(good):
    code = "import sys; from normdeploy.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "inspect", str(good)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 128 + signal.SIGPIPE
    assert err == b""
