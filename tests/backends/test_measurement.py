"""Sessions timed from inside their process."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from normdeploy.backends.catalog import find
from normdeploy.backends.measurement import Measurement
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendFailure
from tests.builders import conv_lrn

X = np.arange(12, dtype=np.float32).reshape(4, 3)


class Recorder:
    """Remembers what it was run on."""

    versions = {}  # noqa: RUF012

    def __init__(self):
        self.seen = []

    def run(self, inputs):
        self.seen.append({name: array.copy() for name, array in inputs.items()})
        return {}


def test_inputs_take_turns():
    session = Recorder()
    measurement = Measurement(session)
    header, _ = measurement.answer({"request": "hold"}, {"x": X})
    assert header["first_ns"] > 0
    measurement.answer({"request": "measure", "seconds": 0, "untimed": 6}, {})
    assert [found["x"][0] for found in session.seen[:7]] == [0, 3, 6, 9, 0, 3, 6]


def test_each_run_is_timed_and_once_at_least():
    measurement = Measurement(Recorder())
    measurement.answer({"request": "hold"}, {"x": X})
    header, arrays = measurement.answer({"request": "measure", "seconds": 0.05, "untimed": 0}, {})
    assert (arrays["latency_ns"] > 0).all()
    assert (np.diff(arrays["began_ns"]) > 0).all()
    assert arrays["latency_ns"].sum() <= 1.5 * (arrays["began_ns"][-1] - arrays["began_ns"][0]) + 10**9
    assert "phases_ms" not in arrays
    assert header["peak_memory_bytes"] > 0


def test_inputs_of_rank_0_stay_arrays():
    session = Recorder()
    Measurement(session).answer({"request": "hold"}, {"s": np.arange(3.0)})
    assert session.seen[0]["s"].shape == ()


def test_a_model_without_inputs_is_timed():
    measurement = Measurement(Recorder())
    measurement.answer({"request": "hold"}, {})
    _, arrays = measurement.answer({"request": "measure", "seconds": 0.01, "untimed": 0}, {})
    assert arrays["latency_ns"].size > 0


def test_held_inputs_do_not_count_as_memory():
    measurement = Measurement(Recorder())
    large = np.ones((4, 2**24), np.float32)
    measurement.answer({"request": "hold"}, {"x": large})
    with_held = measurement.answer({"request": "measure", "seconds": 0, "untimed": 0}, {})[0]
    again = Measurement(Recorder())
    again.answer({"request": "hold"}, {"x": X})
    without = again.answer({"request": "measure", "seconds": 0, "untimed": 0}, {})[0]
    assert abs(with_held["peak_memory_bytes"] - without["peak_memory_bytes"]) < 1.5 * large.nbytes


def test_an_unknown_request_is_a_failure():
    with WorkerSession("tests.backends.misbehaving_backends:echo", Path("m.onnx"), 60) as session:
        session.ready()
        assert session.build_ns >= 0
        with pytest.raises(BackendFailure, match="no request 'dance'"):
            session.ask({"request": "dance"}, {}, "dancing")


def test_onnxruntime_tells_its_layers(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(conv_lrn(), path)
    with find("onnxruntime").start(path, 60) as session:
        session.ready()
        session.ask({"request": "hold"}, {"x": np.ones((2, 1, 3, 6, 6), np.float32)}, "holding")
        header, _ = session.ask({"request": "layers", "runs": 3}, {}, "profiling")
    (lrn,) = [layer for layer in header["layers"] if layer["op_type"] == "LRN"]
    assert (lrn["name"], lrn["outputs"]) == ("lrn", ["y"])
    assert lrn["ms"] > 0
