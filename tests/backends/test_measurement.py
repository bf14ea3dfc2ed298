"""Sessions timed in their own process, here by a clock that the session itself moves on."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from normdeploy.backends import measurement as measurement_module
from normdeploy.backends.measurement import Measurement
from normdeploy.backends.session import LayerTime

X = np.arange(12, dtype=np.float32).reshape(4, 3)
RUN_NS = 3_000_000


class Clock:
    """Stands still but for what `take` adds."""

    def __init__(self):
        self.now = 0

    def take(self, ns):
        self.now += ns


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(measurement_module, "time", SimpleNamespace(perf_counter_ns=lambda: clock.now))
    return clock


class Recorder:
    """Remembers what it was run on; each run takes RUN_NS."""

    versions = {}  # noqa: RUF012

    def __init__(self, clock):
        self.clock, self.seen = clock, []

    def run(self, inputs):
        self.clock.take(RUN_NS)
        self.seen.append({name: array.copy() for name, array in inputs.items()})
        return {}


class OnDevice(Recorder):
    """Times its phases itself, and has a profiler; its device takes 1 MiB more at each turn."""

    cuda_graph = False
    cuda_graph_refusal = "it waits for data"

    def __init__(self, clock):
        super().__init__(clock)
        self.device = SimpleNamespace(at_work=self.at_work, peak_memory_bytes=0, copy_bandwidth=lambda: 1e12)

    @contextmanager
    def at_work(self):
        yield
        self.device.peak_memory_bytes += 2**20

    def run_phases(self, inputs):
        self.run(inputs)
        return 0.5, 2.0, 0.25

    def layer_times(self, inputs):
        return [LayerTime("lrn", "LRN", ("x",), ("y",), ms=float(len(inputs)))]


def test_inputs_take_turns(clock):
    session = Recorder(clock)
    measurement = Measurement(session)
    assert measurement.hold({"x": X}) == {"first_ns": RUN_NS}
    measurement.measure(seconds=0, untimed=6)
    assert [found["x"][0] for found in session.seen[:7]] == [0, 3, 6, 9, 0, 3, 6]


@pytest.mark.parametrize(("seconds", "runs"), [(0, 1), (0.003, 1), (0.0031, 2), (0.03, 10)])
def test_runs_until_the_time_is_up_and_once_at_least(seconds, runs, clock):
    measurement = Measurement(Recorder(clock))
    measurement.hold({"x": X})
    state, times = measurement.measure(seconds, untimed=2)
    assert times["latency_ns"].tolist() == [RUN_NS] * runs
    assert times["began_ns"].tolist() == [RUN_NS * (3 + run) for run in range(runs)]
    assert "phases_ms" not in times
    assert (state["peak_device_memory_bytes"], state["cuda_graph"], state["cuda_graph_refusal"]) == (
        None,
        None,
        "",
    )


def test_a_device_tells_phases_and_its_memory(clock):
    measurement = Measurement(OnDevice(clock))
    measurement.hold({"x": X})
    state, times = measurement.measure(seconds=0.005, untimed=1)
    assert times["phases_ms"].tolist() == [[0.5, 2.0, 0.25]] * 2
    assert state["peak_device_memory_bytes"] == 2 * 2**20, "one turn to hold, one to measure"
    assert (state["cuda_graph"], state["cuda_graph_refusal"]) == (False, "it waits for data")


def test_layers_are_profiled_on_the_inputs_in_turn(clock):
    measurement = Measurement(OnDevice(clock))
    measurement.hold({"x": X})
    assert measurement.layers(runs=3) == {
        "layers": [{"name": "lrn", "op_type": "LRN", "inputs": ("x",), "outputs": ("y",), "ms": 3.0}],
        "copy_bandwidth": 1e12,
    }


def test_a_session_without_a_profiler_has_no_layers(clock):
    measurement = Measurement(Recorder(clock))
    measurement.hold({"x": X})
    assert measurement.layers(runs=3) == {"layers": None, "copy_bandwidth": None}


def test_inputs_of_rank_0_stay_arrays(clock):
    session = Recorder(clock)
    Measurement(session).hold({"s": np.arange(3.0)})
    assert session.seen[0]["s"].shape == ()


def test_a_model_without_inputs_is_timed(clock):
    measurement = Measurement(Recorder(clock))
    measurement.hold({})
    _, times = measurement.measure(seconds=0.01, untimed=0)
    assert times["latency_ns"].size == 4


def test_held_inputs_do_not_count_as_memory(clock):
    large = np.ones((4, 2**24), np.float32)
    peaks = []
    for stack in (large, X):
        measurement = Measurement(Recorder(clock))
        measurement.hold({"x": stack})
        state, _ = measurement.measure(seconds=0, untimed=0)
        peaks.append(state["peak_memory_bytes"])
    assert min(peaks) > 0
    assert abs(peaks[0] - peaks[1]) < 1.5 * large.nbytes


def test_where_linux_does_not_tell_memory_there_is_none(clock, monkeypatch, tmp_path):
    monkeypatch.setattr(measurement_module, "_STATUS", tmp_path / "status")
    measurement = Measurement(Recorder(clock))
    measurement.hold({"x": X})
    state, _ = measurement.measure(seconds=0, untimed=0)
    assert state["peak_memory_bytes"] is None
