"""The whole of `profile`, on onnxruntime and on sessions made for the purpose.

What is asserted holds on any machine, however busy: what is measured and how often, not how long it took.
"""

import json

import onnx
import pytest

import normdeploy as nd
from normdeploy.errors import InputError, MissingDependencyError, NormdeployError, UsageError
from tests.builders import conv_lrn

SHORT = 0.2


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    path = folder / "small.onnx"
    onnx.save(conv_lrn(spatial=16), path)
    return nd.profile(path, backends=["onnxruntime"], duration=SHORT, layers=True)


def test_statistics_of_onnxruntime(result):
    (backend,) = result.backends
    assert backend.status == "measured"
    latency = backend.latency
    assert 0 < latency.minimum <= latency.percentiles[50] <= latency.percentiles[99] <= latency.maximum
    assert latency.mean_ci95[0] <= latency.mean <= latency.mean_ci95[1]
    assert latency.runs == sum(times.size for times in backend.measured.latency) >= 20
    assert backend.throughput_per_s == pytest.approx(1000 / latency.mean)
    assert backend.build_ms > 0
    assert backend.first_ms > 0
    assert backend.warm_up.runs > 0
    assert 2**24 < backend.peak_memory_bytes < 2**30
    assert not result.failed


def test_layers_of_onnxruntime(result):
    layers = result.backends[0].layers
    assert sum(layer.share for layer in layers) == pytest.approx(1)
    (lrn,) = [layer for layer in layers if layer.normalization]
    assert (lrn.op_type, list(lrn.nodes), lrn.normalization) == ("LRN", ["lrn"], "LRN across channels")
    assert any("conv" in layer.nodes for layer in layers)


def test_json(result):
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert document["schema"] == 1
    (backend,) = document["backends"]
    assert set(backend) >= {
        "name", "status", "runs", "latency_ms", "throughput_per_s", "compute_ms", "transfer_ms",
        "peak_memory_bytes", "stable", "layers",
    }  # fmt: skip
    statistics = {"mean", "mean_ci95", "min", "p50", "p90", "p95", "p99", "max", "cv"}
    assert set(backend["latency_ms"]) >= statistics
    assert set(backend["layers"][0]) >= {"name", "op_type", "mean_ms", "share"}
    assert backend["compute_ms"] is None
    assert document["inputs"] == {"x": [1, 3, 16, 16]}


def test_models_without_names_in_memory_and_with_external_data(tmp_path):
    model = conv_lrn()
    for node in model.graph.node:
        node.name = ""
    in_memory = nd.profile(model, backends=["onnxruntime"], duration=SHORT, layers=True)
    assert [layer.normalization for layer in in_memory.backends[0].layers if layer.normalization] == [
        "LRN across channels"
    ]
    path = tmp_path / "external.onnx"
    onnx.save(conv_lrn(), path, save_as_external_data=True, size_threshold=0, location="external.data")
    external = nd.profile(path, backends=["onnxruntime"], duration=SHORT, layers=True)
    assert external.backends[0].layers


def test_phases_of_a_device(path, backend):
    (found,) = nd.profile(path, backends=[backend("phased")], duration=SHORT).backends
    assert (found.compute.mean, found.transfer.mean) == (5.0, 1.5)
    assert found.to_json()["compute_ms"]["p50"] == 5.0


def test_a_runtime_without_a_profiler_has_no_layers(path, backend):
    (found,) = nd.profile(path, backends=[backend("doubling")], duration=SHORT, layers=True).backends
    assert found.layers is None


def test_a_crash_leaves_the_others_standing(path, backend):
    result = nd.profile(path, backends=[backend("dies_later"), backend("doubling")], duration=SHORT)
    crashed, fine = result.backends
    assert (crashed.status, fine.status) == ("crashed", "measured")
    assert "SIGABRT" in crashed.reason
    assert crashed.latency is None
    assert result.failed


def test_a_slow_model_still_has_its_rounds(path, backend):
    (found,) = nd.profile(path, backends=[backend("sleeping")], duration=SHORT).backends
    assert len(found.measured.latency) == found.latency.runs == 20


@pytest.fixture
def two_sessions(monkeypatch):
    """Fewer processes than it takes to decide anything."""
    monkeypatch.setattr("normdeploy.profiling.profiler.SESSIONS", 2)


def test_two_models_are_compared_in_turn(path, backend, tmp_path, two_sessions):
    other = tmp_path / "other.onnx"
    onnx.save(conv_lrn(spatial=6), other)
    result = nd.profile(
        path, against=other, backends=[backend("sleeping"), backend("doubling")], duration=SHORT
    )
    assert [(found.name, found.model) for found in result.backends] == [
        (name, str(model)) for name in ("sleeping", "doubling") for model in (path, other)
    ]
    assert [(change.name, change.against) for change in result.changes] == [
        ("sleeping", str(other)),
        ("doubling", str(other)),
    ]
    (quantity,) = result.changes[0].quantities
    assert quantity.name == "p50"
    assert quantity.interval[0] <= quantity.ratio <= quantity.interval[1]
    assert set(result.backends[0].measured.session) == {1, 2}


def test_a_model_against_itself(path, backend, two_sessions):
    result = nd.profile(path, against=path, backends=[backend("sleeping")], duration=SHORT)
    assert [found.model for found in result.backends] == [str(path), f"{path} (again)"]
    assert result.changes[0].against == f"{path} (again)"
    assert set(result.backends[1].measured.session) == {1, 2}


def test_batch_sizes(path, backend):
    result = nd.profile(path, backends=[backend("sleeping")], batches=[1, 4], duration=SHORT)
    assert [(found.batch, found.rows) for found in result.backends] == [(1, 1), (4, 4)]
    best = max(result.backends, key=lambda found: found.throughput_per_s)
    assert result.best_batch("sleeping") is best
    assert result.best_batch("sleeping", 1e6) is best
    assert result.best_batch("sleeping", 0.001) is None, "each run sleeps for 20 ms"


def test_a_shape_with_batch_sizes(tmp_path):
    path = tmp_path / "open.onnx"
    onnx.save(conv_lrn(spatial="S"), path)
    result = nd.profile(
        path, backends=["onnxruntime"], batches=[1, 2], shapes={"x": (1, 3, 5, 5)}, duration=SHORT
    )
    assert [found.rows for found in result.backends] == [1, 2]


def test_a_baseline(path, backend, tmp_path):
    name = backend("doubling")
    first = nd.profile(path, backends=[name], duration=SHORT)
    old = tmp_path / "old.json"
    old.write_text(json.dumps(first.to_json()))
    again = nd.profile(path, backends=[name], duration=SHORT, baseline=old)
    (change,) = again.changes
    assert [quantity.name for quantity in change.quantities] == ["p50", "p90", "p95", "p99"]
    medians = [run.to_json()["backends"][0]["latency_ms"]["p50"] for run in (first, again)]
    assert [change.quantities[0].before, change.quantities[0].now] == medians
    assert change.quantities[0].ratio == pytest.approx(medians[1] / medians[0])
    assert not any("another machine" in note for note in again.notes)


def test_a_broken_baseline_is_refused_before_anything_is_timed(path, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        nd.profile(path, backends=["onnxruntime"], baseline=tmp_path / "old.json")


@pytest.mark.parametrize("arguments", [{"duration": 0}, {"duration": float("nan")}, {"timeout": -1}])
def test_times_below_zero_are_refused(path, arguments):
    with pytest.raises(UsageError, match="must be above 0"):
        nd.profile(path, **arguments)


def test_without_arch_the_install_line_is_given(path, monkeypatch):
    monkeypatch.setattr("normdeploy.profiling.profiler.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'normdeploy\[profile\]'"):
        nd.profile(path, duration=SHORT)


def test_progress_reaches_the_end(path, backend):
    seen = []
    nd.profile(
        path,
        backends=[backend("doubling")],
        duration=SHORT,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[0][0] <= 1
    assert seen[-1] == (seen[-1][1], seen[-1][1])


def test_a_model_that_cannot_be_read_is_an_error_of_ours(tmp_path):
    with pytest.raises(NormdeployError):
        nd.profile(tmp_path / "missing.onnx")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_phases_of_a_gpu(path, name):
    (found,) = nd.profile(path, backends=[name], duration=1, layers=True).backends
    if found.status == "unavailable":
        pytest.skip(found.reason)
    assert found.status == "measured", found.reason
    assert found.compute.mean > 0
    assert found.transfer.mean > 0
    assert found.compute.mean + found.transfer.mean < 2 * found.latency.mean
    assert any(layer.normalization for layer in found.layers)
    assert found.cuda_graph, found.cuda_graph_refusal
    assert 0 < found.peak_device_memory_bytes < 2**34
    assert found.copy_bandwidth > 1e10
    assert all(layer.roofline for layer in found.layers if layer.normalization and not layer.fused)
