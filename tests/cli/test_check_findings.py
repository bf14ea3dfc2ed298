"""What `check` finds beyond the numbers: first wrong nodes, invariants, power, blindness, half precision."""

import json

import numpy as np
import onnx
import pytest

from normdeploy.backends import catalog
from normdeploy.pages import charts
from tests.builders import conv_lrn, unary
from tests.validation.invariants.self_contradicting_backends import planted


@pytest.fixture
def bright(tmp_path):
    """Inputs as large as pixels."""
    path = tmp_path / "bright.npz"
    np.savez(path, x=np.full((2, 3, 6, 6), 255, np.float32))
    return path


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "wrong.onnx"
    onnx.save(conv_lrn(alpha=5e-2), path)
    return path


def test_the_first_wrong_node_is_named(run, good, wrong, tmp_path):
    target = tmp_path / "report.json"
    outcome = run(
        "check", wrong, "--reference", good, "--localize", "--backend", "onnxruntime", "--json", target
    )
    assert outcome.code == 1
    assert "onnxruntime first wrong node: lrn (LRN, output y)" in outcome.out
    first = json.loads(target.read_text())["backends"][0]["first_divergence"]
    assert (first["node"], first["op_type"], first["output"]) == ("lrn", "LRN", "y")


def test_nothing_is_searched_without_being_asked(run, good, wrong):
    outcome = run("check", wrong, "--reference", good, "--backend", "onnxruntime", "--json", "-")
    assert json.loads(outcome.out)["backends"][0]["first_divergence"] is None


def test_a_right_model_has_no_wrong_node(run, good):
    outcome = run("check", good, "--localize", "--backend", "onnxruntime")
    assert outcome.code == 0
    assert "wrong node" not in outcome.out


def test_the_page_is_written_whole(run, good, tmp_path):
    pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")
    target = tmp_path / "report.html"
    assert run("check", good, "--html", target, "--backend", "onnxruntime").code == 0
    text = target.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    run("check", good, "--html", tmp_path / "no" / "folder.html").assert_refused("cannot be written")


def test_a_page_without_matplotlib_is_refused_before_any_work(run, good, monkeypatch):
    monkeypatch.setattr(charts.importlib.util, "find_spec", lambda name: None)
    run("check", good, "--html", "x.html").assert_refused("pip install 'normdeploy[report]'", code=3)


def test_check_warns_of_half_precision_on_the_given_data(run, good, bright, tmp_path):
    target = tmp_path / "report.json"
    outcome = run("check", good, "--data", bright, "--backend", "onnxruntime", "--json", target)
    assert outcome.code == 0
    assert "warning: lrn (LRN) in float16: the sum of squares in a window reaches" in outcome.out
    (finding,) = json.loads(target.read_text())["half_precision"]
    assert finding["problem"] == "overflow"
    assert finding["max_abs"] > 255
    assert 0 < finding["overflow"] <= finding["elements"]


def test_random_inputs_warn_of_nothing(run, good):
    assert "warning" not in run("check", good, "--backend", "onnxruntime").out


def test_inspect_warns_on_data(run, good, bright):
    assert "warning" not in run("inspect", good).out
    outcome = run("inspect", good, "--data", bright)
    assert outcome.code == 0
    assert "warning: lrn (LRN) in float16" in outcome.out
    document = json.loads(run("inspect", good, "--data", bright, "--json", "-").out)
    assert document["half_precision"][0]["node"] == "lrn"


def test_inspect_refuses_data_that_does_not_fit(run, good, tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, z=np.zeros(3, np.float32))
    run("inspect", good, "--data", path).assert_refused("'z' is no input of the model")


def test_a_file_whose_numbers_depend_on_the_kernel_is_exit_code_1(run, tmp_path):
    model, bright, target = tmp_path / "half.onnx", tmp_path / "bright.npz", tmp_path / "report.json"
    onnx.save(conv_lrn(dtype=np.float16), model)
    np.savez(bright, x=np.full((2, 3, 6, 6), 255, np.float16))
    assert run("check", model, "--data", bright).code == 0
    outcome = run("check", model, "--data", bright, "--kernels", "any", "--json", target)
    assert outcome.code == 1
    assert "kernels of onnxruntime safe: right with " in outcome.out
    assert "  lrn (LRN, half-lrn): " in outcome.out
    verdicts = {entry["backend"]: entry["verdict"] for entry in json.loads(target.read_text())["kernels"]}
    assert (verdicts["onnxruntime"], verdicts["tensorrt"]) == ("safe", "depends")


def test_a_broken_invariant_is_exit_code_1(run, good, tmp_path, monkeypatch):
    name = "wrong_in_batches_of_two"
    monkeypatch.setitem(catalog.BACKENDS, name, planted(name))
    target = tmp_path / "report.json"
    assert run("check", good, "--backend", name).code == 0
    outcome = run("check", good, "--backend", name, "--invariants", "--json", target)
    assert outcome.code == 1
    assert f"invariants of {name}: " in outcome.out
    assert "batch-sizes broken: in a batch of two rows, " in outcome.out
    found = {entry["name"]: entry for entry in json.loads(target.read_text())["invariants"]}
    assert (found["batch-sizes"]["status"], found["batch-sizes"]["noise_ratio"] > 1) == ("broken", True)
    assert found["equal-rows"]["status"] == "pass"


def test_a_range_of_shapes_is_for_the_invariants(run, good):
    shape = "x:1x3x6x6:1x3x6x6:2x3x6x6"
    outcome = run("check", good, "--backend", "onnxruntime", "--shape", shape)
    assert outcome.code == 2
    assert "--invariants" in outcome.err
    outcome = run("check", good, "--backend", "onnxruntime", "--shape", shape, "--invariants")
    assert outcome.code == 0
    assert "invariants of onnxruntime: 6 hold" in outcome.out


def test_power_and_its_gate(run, good, tmp_path):
    target = tmp_path / "report.json"
    options = ("check", good, "--backend", "onnxruntime", "--samples", 2, "--power")
    outcome = run(*options, "--json", target)
    assert outcome.code == 0
    assert "power: errors from " in outcome.out
    found = json.loads(target.read_text())["power"]
    assert {layer["node"] for layer in found["layers"]} == {"conv", "lrn"}
    assert run(*options, "--min-power", "1%").code == 0
    outcome = run(*options, "--min-power", "1e-8")
    assert outcome.code == 1
    (line,) = [line for line in outcome.out.splitlines() if "--min-power asks for 1e-06 %" in line]
    assert "'conv' shows least" in line or "'lrn' shows least" in line
    outcome = run("check", good, "--min-power", "1%")
    assert outcome.code == 2
    assert "give --power too" in outcome.err


def test_an_output_that_shows_nothing(run, tmp_path):
    path = tmp_path / "dead.onnx"
    onnx.save(unary("Relu", ["N", 3]), path)
    np.savez(tmp_path / "data.npz", x=-np.ones((2, 3), np.float32))
    outcome = run("check", path, "--backend", "onnxruntime", "--data", tmp_path / "data.npz")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == (
        "verdict: pass, but blind: output 'y' can't show a 1 % error (dead ReLU: every element is 0)"
    )
