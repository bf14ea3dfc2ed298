"""What is told of a device, in each form."""

import json

import pytest
from click.testing import CliRunner

import normdeploy as nd
from normdeploy.cli.profile import command

SHORT = 0.2


def test_memory_graph_and_rooflines(path, backend):
    result = nd.profile(path, backends=[backend("phased")], duration=SHORT, layers=True, batches=[1, 2])
    for found in result.backends:
        document = json.loads(json.dumps(found.to_json(), allow_nan=False))
        turns = document["peak_device_memory_bytes"] / 2**20
        assert turns == int(turns) > 20, "loading, the warm-up and 20 rounds"
        assert (document["cuda_graph"], document["cuda_graph_refusal"]) == (False, "it waits for data")
        assert document["copy_bandwidth_bytes_per_s"] == 1e6
        conv, lrn = document["layers"]
        assert conv["floor_ms"] is None
        moved = found.batch * 2 * 8 * 6 * 6 * 4
        assert lrn["bytes_moved"] == moved
        assert lrn["floor_ms"] == lrn["floor_share"] == pytest.approx(moved / 1000)


def test_without_a_device_there_is_nothing_to_tell(path):
    result = nd.profile(path, backends=["onnxruntime"], duration=SHORT, layers=True)
    (backend,) = result.to_json()["backends"]
    for name in ("peak_device_memory_bytes", "cuda_graph", "copy_bandwidth_bytes_per_s"):
        assert backend[name] is None
    assert {layer["floor_ms"] for layer in backend["layers"]} == {None}


def test_the_command_and_its_page(path, backend, tmp_path):
    page = tmp_path / "page.html"
    options = ["--backend", backend("phased"), "--duration", str(SHORT), "--layers", "--html", str(page)]
    outcome = CliRunner().invoke(command, [str(path), *options], env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.output
    assert "phased: without a CUDA graph: it waits for data" in outcome.output
    assert "GPU MiB" in outcome.output
    (lrn,) = [line for line in outcome.output.splitlines() if line.startswith("lrn")]
    assert lrn.split()[-2:] == ["2.3", "230%"]
    for text in ("floor/measured", "GPU memory MiB", "230%"):
        assert text in page.read_text(encoding="utf-8")


@pytest.mark.gpu
def test_onnxruntime_on_a_gpu(path):
    (found,) = nd.profile(path, backends=["onnxruntime-cuda"], duration=1, layers=True).backends
    if found.status == "unavailable":
        pytest.skip(found.reason)
    assert found.status == "measured", found.reason
    assert 0 < found.peak_device_memory_bytes < 2**34
    assert found.cuda_graph is None
    assert found.copy_bandwidth is None, "its profiler does not see when a kernel ends"
