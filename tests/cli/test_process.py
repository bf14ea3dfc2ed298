"""The command as a process of its own: import time, interruption, broken pipes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import conv_lrn


def weights() -> bytes:
    return conv_lrn().graph.initializer[0].raw_data


HEAVY = ("torch", "onnxruntime", "tensorrt", "tensorrt_rtx_bindings", "onnx", "onnx_ir", "rich")
HANG = """
import sys
sys.path[:0] = {paths!r}
from normdeploy.backends import catalog
catalog.BACKENDS["hang"] = catalog.Backend("hang", "tests.cli.crashing_for_cli:hangs")
from normdeploy.cli import main
sys.exit(main(["check", {model!r}, "--backend", "hang"]))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import normdeploy",
        "from normdeploy.cli import main; main(['--help'])",
        "from normdeploy.cli import main; main(['--version'])",
        "from normdeploy.cli import main; main(['no-such-verb'])",
    ],
)
def test_nothing_heavy_is_imported(code):
    report = f"import sys; print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return time.perf_counter() - began


def test_help_takes_under_half_a_second():
    bare = min(seconds("pass") for _ in range(3))
    helped = min(seconds("from normdeploy.cli import main; main(['--help'])") for _ in range(3))
    assert helped - bare < 0.5


def workers_of(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(folder.name))
    return found


def wait_for(condition, limit: float = 20) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def hanging(good, tmp_path):
    """The command in a process, waiting for a backend that hangs, and its worker's id."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HANG.format(paths=paths, model=str(good))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
        text=True,
        start_new_session=True,
    )
    assert wait_for(lambda: workers_of(process.pid))
    (worker,) = workers_of(process.pid)
    time.sleep(0.5)
    yield process, worker, scratch
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_check_leaves_nothing(hanging, kind):
    process, worker, scratch = hanging
    process.send_signal(kind)
    _, err = process.communicate(timeout=20)
    assert process.returncode == (130 if kind == signal.SIGINT else -kind)
    assert "Traceback" not in err
    assert wait_for(lambda: not Path(f"/proc/{worker}").exists())
    assert list(scratch.iterdir()) == []


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
    assert process.wait(20) == 128 + signal.SIGPIPE
    assert err == b""
