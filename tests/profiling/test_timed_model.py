"""A model that is timed in a process of its own: what is kept of it, and how it fails."""

import numpy as np
import pytest

from normdeploy.backends.catalog import Backend
from normdeploy.graph.io import load
from normdeploy.inputs.declared import declared_inputs
from normdeploy.profiling.feed import make_feed
from normdeploy.profiling.timed_model import Measured, TimedModel


@pytest.fixture
def timed(path):
    """Makes a model that is timed in a backend of `misbehaving_for_profile`."""

    def make(name):
        feed = make_feed(declared_inputs(load(path)), 0)
        backend = Backend(name, f"tests.profiling.misbehaving_for_profile:{name}")
        return TimedModel(backend, True, "small", path, feed, None)

    return make


def test_turns_are_kept_with_their_session(timed):
    with timed("doubling") as model:
        for _ in range(2):
            model.open(timeout=300)
            model.measure(0.0, untimed=0)
            model.measure(0.0, untimed=3)
        measured = model.measured
        assert model.alive
        assert model.versions == {"doubling": "1.0"}
    assert measured.session == [1, 1, 2, 2]
    assert all(latency.size >= 1 for latency in measured.latency)
    assert [began.size for began in measured.began] == [latency.size for latency in measured.latency]
    starts = np.concatenate(measured.began)
    assert (np.diff(starts) >= 0).all(), "the clock never goes back"
    assert (np.concatenate(measured.latency) >= 0).all()
    assert model.build_ms > 0
    assert model.first_ms > 0


def test_running_without_measuring_keeps_nothing(timed):
    with timed("doubling") as model:
        model.open(timeout=300)
        assert model.run_for(0.0).size >= 1
        assert model.measured == Measured()


def test_phases_and_memory_are_kept_where_the_device_tells(timed):
    with timed("phased") as model:
        model.open(timeout=300)
        model.measure(0.0, untimed=0)
        model.look_into_layers(runs=2)
    assert model.measured.phases[0][0].tolist() == [1.0, 5.0, 0.5]
    assert (model.cuda_graph, model.cuda_graph_refusal) == (False, "it waits for data")
    assert model.peak_device_memory_bytes >= 2**20
    assert [layer.name for layer in model.layers] == ["conv", "lrn"]
    assert model.copy_bandwidth == 1e6


def test_the_first_failure_ends_it_and_stays(timed):
    with timed("dies_later") as model:
        model.open(timeout=300)
        for _ in range(10):
            model.measure(0.0, untimed=0)
        assert not model.alive
        assert model.failure.status == "crashed"
        kept = len(model.measured.latency)
        assert 0 < kept < 10
        model.open(timeout=300)
        model.measure(0.0, untimed=0)
        assert model.run_for(0.0).size == 0
        assert len(model.measured.latency) == kept


def test_a_backend_that_is_not_there(path):
    backend = Backend("nothing", "tests.profiling.misbehaving_for_profile:not_there")
    with TimedModel(backend, True, "small", path, make_feed([], 0), None) as model:
        model.open(timeout=300)
        assert model.failure is not None
        assert model.versions == {}


def test_rounds_are_grouped_by_session():
    one, two, three = (np.full(2, value) for value in (1.0, 2.0, 3.0))
    measured = Measured(session=[1, 2, 1], latency=[one, two, three])
    first, second = measured.latency_by_session()
    assert [times[0] for times in first] == [1.0, 3.0]
    assert [times[0] for times in second] == [2.0]
