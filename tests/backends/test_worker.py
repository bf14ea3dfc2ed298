"""The requests that a worker process serves, and how it reports what fails."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from normdeploy.backends.catalog import find
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendCrashed, BackendUnavailable
from tests.builders import conv_lrn

TIMEOUT = 300


def start(name: str) -> WorkerSession:
    return WorkerSession(f"tests.backends.misbehaving_backends:{name}", Path("model.onnx"), TIMEOUT)


def test_a_session_runs_and_is_timed():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with start("echo") as worker:
        worker.ready()
        assert worker.build_ns >= 0
        header, arrays = worker.ask({"request": "run"}, {"x": x}, "running")
        assert header == {}
        np.testing.assert_array_equal(arrays["x"], x)
        header, arrays = worker.ask({"request": "hold"}, {"x": x}, "holding")
        assert (list(header), arrays) == (["first_ns"], {})
        header, arrays = worker.ask({"request": "measure", "seconds": 0, "untimed": 0}, {}, "timing")
        assert list(header) == [
            "peak_memory_bytes",
            "peak_device_memory_bytes",
            "cuda_graph",
            "cuda_graph_refusal",
        ]
        assert {name: array.shape for name, array in arrays.items()} == {"began_ns": (1,), "latency_ns": (1,)}
        header, arrays = worker.ask({"request": "layers", "runs": 1}, {}, "profiling")
        assert (header, arrays) == ({"layers": None, "copy_bandwidth": None}, {})


def test_onnxruntime_tells_its_layers(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(conv_lrn(), path)
    with find("onnxruntime").start(path, TIMEOUT) as worker:
        worker.ready()
        worker.ask({"request": "hold"}, {"x": np.ones((2, 1, 3, 6, 6), np.float32)}, "holding")
        header, _ = worker.ask({"request": "layers", "runs": 3}, {}, "profiling")
    (lrn,) = [layer for layer in header["layers"] if layer["op_type"] == "LRN"]
    assert (lrn["name"], lrn["outputs"]) == ("lrn", ["y"])
    assert lrn["ms"] > 0


def test_an_engine_builder_builds():
    with start("builds") as worker:
        worker.ready()
        assert worker.versions == {"builder": "2.0"}
        answer = worker.ask({"request": "build"}, {}, "building")
    assert answer == ({"description": {"layers": ["lrn"], "plugins": []}}, {})


@pytest.mark.parametrize(
    ("name", "request_", "served"),
    [
        ("echo", "dance", "run, hold, measure, layers"),
        ("echo", "build", "run, hold, measure, layers"),
        ("builds", "run", "build"),
        ("builds", "hold", "build"),
    ],
)
def test_a_request_that_is_not_served_is_a_failure(name, request_, served):
    with start(name) as worker:
        worker.ready()
        with pytest.raises(BackendCrashed, match=f"^there is no request '{request_}': ask for {served}$"):
            worker.ask({"request": request_}, {}, "asking")


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("is_unavailable", BackendUnavailable, "no GPU was found: install one"),
        (
            "is_not_installed",
            BackendUnavailable,
            "some-runtime is not installed: run  pip install 'normdeploy[some]'",
        ),
        ("refuses_the_model", BackendCrashed, "the parser refuses node 'lrn'"),
        ("has_no_memory", BackendCrashed, "out of memory for the weights"),
    ],
)
def test_each_error_has_its_status_and_its_words(name, kind, reason):
    with start(name) as worker, pytest.raises(kind) as caught:
        worker.ready()
    assert caught.value.reason == reason


@pytest.mark.parametrize("message", [b"", b"\x05\0\0", b"\x02\0\0\0\0\0\0\0[]"], ids=["end", "half", "array"])
def test_a_parent_that_ends_or_talks_nonsense(message):
    """It ends quietly with its requests, and answers what is no message with an error."""
    done = subprocess.run(
        [sys.executable, "-m", "normdeploy.backends.worker"],
        input=message,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert done.stderr == b""
    assert (b"malformed message" in done.stdout) == message.endswith(b"[]")
