"""Results print as the commands show them, and have JSON, HTML for notebooks, and pages."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

import normdeploy as nd
from normdeploy.backends.catalog import find
from normdeploy.cli import main
from normdeploy.plugin.library import PluginInfo, PluginOperator
from normdeploy.results import Result

DIGITS = Path(__file__).parents[1] / "models" / "digits"
ORIGINAL, HELDOUT = DIGITS / "original.onnx", DIGITS / "heldout.npz"


@pytest.fixture(scope="module")
def checked() -> nd.CheckReport:
    return nd.check(ORIGINAL, backends=["onnxruntime", "tensorrt"], data=HELDOUT, samples=20)


@pytest.fixture(scope="module")
def profiled() -> nd.Profile:
    return nd.profile(ORIGINAL, backends=["onnxruntime"], batches=[1, 2], duration=0.1, layers=True)


@pytest.fixture(scope="module")
def inspected() -> nd.ModelInspection:
    return nd.inspect(ORIGINAL)


@pytest.fixture(scope="module")
def optimized() -> nd.Optimized:
    return nd.optimize(ORIGINAL)


@pytest.fixture(scope="module")
def diagnosed() -> nd.Diagnosis:
    return nd.doctor()


@pytest.fixture(scope="module")
def plugin() -> PluginInfo:
    operator = PluginOperator("IntraChannelLRN", "1", "normdeploy")
    return PluginInfo(
        Path("[a]<b>/lib.so"), 1500000, "0.1.0", (operator,), ("90-real", "120"), "13.0", "10.14", "wheel"
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> nd.EngineRecord:
    if find("tensorrt-rtx").missing(without_gpu=True):
        pytest.skip("TensorRT-RTX is not installed")
    engine = tmp_path_factory.mktemp("engine") / "digits.engine"
    return nd.build(ORIGINAL, engine, backend="tensorrt-rtx", shapes={"image": (4, 1, 8, 8)})


@pytest.fixture(params=["checked", "profiled", "inspected", "optimized", "diagnosed", "plugin", "built"])
def result(request) -> Result:
    return request.getfixturevalue(request.param)


def plain(html: str) -> str:
    """The text of a few lines of HTML."""
    return unescape(re.sub("<[^>]+>", "", html))


def test_every_result_prints(result):
    text = str(result)
    assert text == text.rstrip("\n")
    assert "\x1b" not in text
    assert len(text.splitlines()) > 2


def test_every_result_is_the_same_in_a_notebook(result):
    html = result._repr_html_()
    assert html.startswith("<pre>")
    assert html.endswith("</pre>")
    assert plain(html).rstrip("\n") == str(result)


def test_every_result_has_json(result):
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert isinstance(document, dict)
    assert document["schema"] == 1


def shown(capsys, *arguments: object) -> str:
    """What a command prints."""
    assert main([str(argument) for argument in arguments]) in (0, 3)
    return capsys.readouterr().out.rstrip("\n")


def test_a_check_prints_as_the_command_shows_it(checked, capsys):
    options = ("--backend", "onnxruntime", "--backend", "tensorrt", "--data", HELDOUT, "--samples", 20)
    assert str(checked) == shown(capsys, "check", ORIGINAL, *options)
    for part in ("20 samples", "accuracy of onnxruntime: ", "tensorrt unavailable: ", "verdict: "):
        assert part in str(checked)


def test_an_inspection_prints_as_the_command_shows_it(inspected, capsys):
    assert str(inspected) == shown(capsys, "inspect", ORIGINAL)
    assert inspected.normalizations[0].node == "features.1"
    document = json.loads(shown(capsys, "inspect", ORIGINAL, "--json", "-"))
    assert document == json.loads(json.dumps(inspected.to_json()))


def test_a_diagnosis_prints_as_the_command_shows_it(diagnosed, capsys):
    assert str(diagnosed) == shown(capsys, "doctor")
    document = json.loads(shown(capsys, "doctor", "--json", "-"))
    assert document == diagnosed.to_json()
    (runtime,) = [backend for backend in document["backends"] if backend["name"] == "onnxruntime"]
    assert runtime["works"] is True


def test_an_optimization_prints_as_the_command_explains_it(optimized, capsys, tmp_path):
    out = tmp_path / "out.onnx"
    first, *rest = shown(capsys, "optimize", ORIGINAL, "-o", out, "--explain").splitlines()
    mine = str(optimized).splitlines()
    assert first == f"wrote {out}: {mine[0]}, verified"
    assert rest == mine[1:]
    assert str(optimized) == str(optimized.report)
    assert optimized.to_json() == optimized.report.to_json()


def test_a_profile_prints_its_tables_and_the_best_batch(profiled):
    lines = str(profiled).splitlines()
    assert lines[0] == str(ORIGINAL)
    best = profiled.best_batch("onnxruntime")
    assert f"onnxruntime: best batch: {best.batch}, {best.throughput_per_s:.4g} per s" in lines
    for backend in profiled.backends:
        assert f"{profiled.label(backend)}: {len(backend.layers)} steps of the runtime" in lines


def test_a_plugin_prints_its_operators_and_its_path_as_it_is(plugin):
    for part in ("[a]<b>/lib.so", "1.5 MB", "normdeploy::IntraChannelLRN, version 1", "90-real, 120"):
        assert part in str(plugin)


def test_an_engine_prints_what_is_in_it(built):
    first, *rest = str(built).splitlines()
    assert first.startswith(f"digits.engine from {ORIGINAL} (tensorrt-rtx ")
    assert "  input image: FLOAT 4x1x8x8" in rest
    assert "  IntraChannelLRN features.7: function of standard operators" in rest


def test_pages_are_written_whole(checked, profiled, tmp_path):
    pytest.importorskip("matplotlib")
    for found in (checked, profiled):
        page = tmp_path / "page.html"
        found.to_html(page)
        assert page.read_text().startswith("<!DOCTYPE html>")
        assert page.read_text().endswith("</html>\n")
        with pytest.raises(nd.UsageError, match="cannot be written"):
            found.to_html(tmp_path / "no" / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]


def test_the_limit_of_latency_is_drawn_in_the_page(profiled):
    pytest.importorskip("matplotlib")
    assert "best batch with p99 within 1e+06 ms: " in profiled.html(max_latency=1e6)
    assert "no batch size with p99 within 1e-06 ms" in profiled.html(max_latency=1e-6)
