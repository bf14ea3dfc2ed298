import json

import onnx
import pytest

from normdeploy.backends import catalog
from tests.builders import conv_lrn

SHORT = ("--duration", 0.2, "--backend", "onnxruntime")


@pytest.fixture(autouse=True)
def two_sessions(monkeypatch):
    """Fewer processes than it takes to decide anything."""
    monkeypatch.setattr("normdeploy.profiling.profiler.SESSIONS", 2)


@pytest.fixture
def baseline(run, good, tmp_path):
    path = tmp_path / "old.json"
    assert run("profile", good, *SHORT, "--json", path).code == 0
    return path


def faster_before(path, factor):
    """Make a baseline claim that everything took 1 / factor of the time."""
    document = json.loads(path.read_text())
    latency = document["backends"][0]["latency_ms"]
    for p in ("p50", "p90", "p95", "p99"):
        latency[p] /= factor
        latency["percentiles_ci99"][p] = [latency[p] * 0.99, latency[p] * 1.01]
    path.write_text(json.dumps(document))


def test_a_table(run, good):
    outcome = run("profile", good, *SHORT)
    assert outcome.code == 0
    assert outcome.err == ""
    for heading in ("mean ms", "± 95 %", "p50", "p99", "per s", "peak MiB", "onnxruntime"):
        assert heading in outcome.out


def test_layers_are_listed_with_their_nodes(run, good):
    outcome = run("profile", good, *SHORT, "--layers")
    assert outcome.code == 0
    assert "lrn (LRN across channels)" in outcome.out
    assert "normalization on its own" in outcome.out


def test_json_to_standard_output_is_all_there_is(run, good):
    document = json.loads(run("profile", good, *SHORT, "--json", "-").out)
    assert document["backends"][0]["runs"] > 0


def test_a_page(run, good, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    outcome = run("profile", good, *SHORT, "--layers", "--against", good, "--html", page)
    assert outcome.code == 0
    text = page.read_text()
    for part in ("latency over time", "distribution", "Share of runs", "Slowest steps", "now / before"):
        assert part in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_another_model_side_by_side(run, good, tmp_path):
    other = tmp_path / "other.onnx"
    onnx.save(conv_lrn(size=3), other)
    outcome = run("profile", good, "--against", other, *SHORT)
    assert outcome.code == 0
    assert f"onnxruntime against {other}:" in outcome.out
    assert ", ratio " in outcome.out
    assert "onnxruntime, good.onnx" in outcome.out


def test_batch_sizes_and_the_best_one(run, good, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    outcome = run("profile", good, *SHORT, "--batch", "1,4", "--max-latency", 1e6, "--html", page)
    assert outcome.code == 0
    assert "Throughput against latency" in page.read_text()
    assert "onnxruntime batch 4" in outcome.out
    assert "onnxruntime: best batch with p99 within 1e+06 ms: " in outcome.out
    none = run("profile", good, *SHORT, "--batch", "1", "--max-latency", 1e-6)
    assert "onnxruntime: no batch size with p99 within 1e-06 ms" in none.out


def test_a_regression_is_exit_code_1(run, good, baseline):
    faster_before(baseline, 1e6)
    outcome = run("profile", good, *SHORT, "--baseline", baseline, "--max-regression", 100)
    assert outcome.code == 1
    assert "slower" in outcome.out


def test_no_regression_is_exit_code_0(run, good, baseline):
    faster_before(baseline, 1e-6)
    assert run("profile", good, *SHORT, "--baseline", baseline, "--max-regression", 0).code == 0
    faster_before(baseline, 1e12)
    assert run("profile", good, *SHORT, "--baseline", baseline).code == 0


def test_a_backend_that_is_not_there_is_exit_code_3(run, good):
    outcome = run("profile", good, "--backend", "tensorrt", *SHORT)
    assert outcome.code == 3
    assert "tensorrt unavailable: " in outcome.out


def test_a_crash_is_exit_code_3_and_shows_the_log(run, good, monkeypatch):
    monkeypatch.setitem(
        catalog.BACKENDS, "crash", catalog.Backend("crash", "tests.cli.crashing_for_cli:aborts")
    )
    outcome = run("profile", good, "--backend", "crash")
    assert outcome.code == 3
    assert "SIGABRT" in outcome.out
    assert "| the last words" in outcome.out
    assert "no backend was measured" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--max-latency", 5), "--batch"),
        (("--max-regression", 5), "--baseline or --against"),
        (("--baseline", "missing.json"), "missing.json: cannot be read"),
        (("--duration", 0), "duration must be above 0"),
        (("--backend", "nothing"), "there is no backend 'nothing'"),
        (("--batch", "0"), "at least 1, got 0"),
        (("--shape", "nothing:1x2"), "nothing"),
        (("--against", "missing.onnx"), "missing.onnx"),
    ],
)
def test_bad_usage_is_one_line(run, good, arguments, part):
    run("profile", good, *arguments).assert_refused(part)


@pytest.mark.parametrize("text", ["1,,2", "a", "1;2", ""])
def test_a_malformed_list_of_sizes_is_refused(run, good, text):
    outcome = run("profile", good, "--batch", text)
    assert outcome.code == 2
    assert "such as 1,2,4,8,16" in outcome.err
