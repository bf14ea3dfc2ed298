"""`normdeploy reduce`: files, exit codes, JSON."""

import json

import numpy as np
import onnx
import pytest

from tests.builders import conv_lrn


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "wrong.onnx"
    onnx.save(conv_lrn(beta=0.5), path)
    return path


def test_the_small_file_is_written(run, good, wrong, tmp_path):
    small = tmp_path / "small.onnx"
    outcome = run("reduce", wrong, "--reference", good, "-o", small, "--samples", 1)
    assert outcome.code == 0, outcome.err
    assert f"{wrong} against {good}: the graphs differ, first at sample 0" in outcome.out
    assert "left: 1 of 2 nodes" in outcome.out
    assert "  lrn (LRN)" in outcome.out
    assert [node.op_type for node in onnx.load(small).graph.node] == ["LRN"]
    check = (
        "check",
        small,
        "--reference",
        tmp_path / "small.reference.onnx",
        "--data",
        tmp_path / "small.npz",
    )
    assert run(*check, "--backend", "onnxruntime", "--quiet").code == 1


def test_json(run, good, wrong, tmp_path):
    small = tmp_path / "small.onnx"
    outcome = run("reduce", wrong, "--reference", good, "-o", small, "--samples", 1, "--json", "-")
    document = json.loads(outcome.out)
    assert document["nodes"] == [{"node": "lrn", "op_type": "LRN"}]
    assert document["files"][0] == str(small)
    assert document["outputs"][0]["wrong"] > 0


@pytest.mark.parametrize("against", [("--reference", "{good}"), ("--backend", "onnxruntime")])
def test_a_model_that_does_not_fail(run, good, tmp_path, against):
    given = [part.format(good=good) for part in against]
    run("reduce", good, *given, "-o", tmp_path / "small.onnx", "--samples", 1).assert_refused(
        "nothing to reduce", "on the one sample"
    )
    assert not list(tmp_path.glob("small*"))


def test_what_is_refused(run, good, wrong, tmp_path):
    small = tmp_path / "small.onnx"
    run("reduce", wrong, "-o", small).assert_refused("--reference, --backend")
    run("reduce", wrong, "--reference", good).assert_refused("-o")
    run("reduce", wrong, "--reference", good, "-o", "-").assert_refused("-o has to name a file")
    run("reduce", wrong, "--reference", good, "-o", tmp_path).assert_refused("is a folder")
    missing = tmp_path / "no" / "small.onnx"
    run("reduce", wrong, "--reference", good, "-o", missing).assert_refused(str(missing), "cannot be written")
    run("reduce", wrong, "--backend", "tensorrt", "-o", small, "--samples", 1).assert_refused(code=3)


def test_the_file_that_is_reduced_stays(run, good, wrong, tmp_path):
    before = wrong.read_bytes()
    data = tmp_path / "data.npz"
    np.savez(data, x=np.ones((2, 3, 6, 6), np.float32))
    run("reduce", wrong, "--reference", good, "--data", data, "-o", tmp_path / "data.onnx").assert_refused(
        "data.npz: would be written over"
    )
    assert wrong.read_bytes() == before
