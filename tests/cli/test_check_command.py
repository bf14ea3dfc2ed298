import json

import numpy as np
import onnx
import pytest

from normdeploy.backends import catalog
from tests.builders import WITHOUT_NUMBERS, classifier, conv_lrn, parsed


def test_a_good_model_passes(run, good):
    outcome = run("check", good)
    assert outcome.code == 0
    assert outcome.err == ""
    assert "onnxruntime" in outcome.out
    assert "verdict: pass" in outcome.out
    if catalog.BACKENDS["tensorrt"].missing() is not None:
        (line,) = [line for line in outcome.out.splitlines() if line.startswith("not here: ")]
        assert "tensorrt" in line
        assert line.endswith("(normdeploy doctor says why)")
        assert "unavailable" not in outcome.out


def test_a_planted_defect_is_exit_code_1(run, good, tmp_path):
    wrong = tmp_path / "wrong.onnx"
    onnx.save(conv_lrn(alpha=2e-3), wrong)
    outcome = run("check", wrong, "--reference", good)
    assert outcome.code == 1
    assert "verdict: mismatch" in outcome.out
    assert "output 'y'" in outcome.out


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_backend_that_is_not_there_is_exit_code_3(run, good, name):
    if catalog.BACKENDS[name].missing() is None:
        pytest.skip(f"{name} works here")
    outcome = run("check", good, "--backend", "onnxruntime", "--backend", name)
    assert outcome.code == 3
    assert f"{name} unavailable: " in outcome.out
    assert "install" in outcome.out  # what to do


def test_a_crash_is_exit_code_3_and_shows_the_log(run, good, monkeypatch):
    backend = catalog.Backend("crash", "tests.cli.crashing_for_cli:aborts")
    monkeypatch.setitem(catalog.BACKENDS, "crash", backend)
    outcome = run("check", good, "--backend", "crash")
    assert outcome.code == 3
    assert "SIGABRT" in outcome.out
    assert "| the last words" in outcome.out


def test_outputs_without_a_finite_number_are_exit_code_2(run, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(parsed(WITHOUT_NUMBERS["no number"]), path)
    outcome = run("check", path, "--backend", "onnxruntime", "--json", tmp_path / "report.json")
    assert outcome.code == 2
    assert "no output has a finite number on these inputs, and nothing could be compared" in outcome.out
    assert "verdict: error" in outcome.out
    assert outcome.err.startswith("error: nothing could be compared, no output has a finite number")
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "error"


def test_a_mismatch_outweighs_a_missing_backend(run, good, tmp_path):
    wrong = tmp_path / "wrong.onnx"
    onnx.save(conv_lrn(bias=1.0), wrong)
    assert (
        run("check", wrong, "--reference", good, "--backend", "onnxruntime", "--backend", "tensorrt").code
        == 1
    )


def test_json_to_a_file(run, good, tmp_path):
    target = tmp_path / "report.json"
    assert run("check", good, "--json", target, "--samples", 2, "--seed", 7).code == 0
    document = json.loads(target.read_text())
    assert (document["verdict"], document["samples"], document["seed"]) == ("pass", 2, 7)


def test_json_to_standard_output_is_all_there_is(run, good):
    outcome = run("check", good, "--json", "-")
    assert json.loads(outcome.out)["schema"] == 1


def test_accuracies_are_shown(run, tmp_path):
    model, data = tmp_path / "classifier.onnx", tmp_path / "data.npz"
    onnx.save(classifier(), model)
    np.savez(data, x=np.eye(4, 6, dtype=np.float32), labels=np.array([0, 1, 2, 0]))
    outcome = run("check", model, "--data", data)
    assert outcome.code == 0
    assert outcome.out.count("75.00%") == 2
    assert "flips" in outcome.out


def test_tolerances_are_passed_on(run, good):
    assert run("check", good, "--rtol", 0, "--atol", 0).code == 1
    assert run("check", good, "--rtol", 0.1, "--atol", 0.1).code == 0


def test_markup_in_names_is_shown_as_it_is(run, tmp_path):
    path = tmp_path / "[bold]model.onnx"
    onnx.save(conv_lrn(), path)
    outcome = run("check", path)
    assert outcome.code == 0
    assert "[bold]model.onnx" in outcome.out
