import json
import subprocess
import sys

import onnx
import pytest

from normdeploy.cli import main
from tests.builders import BN, Graph, parsed
from tests.equivalence import assert_same, operators


@pytest.fixture
def source(tmp_path):
    """One BatchNorm that folds, one that stays."""
    g = Graph()
    y = g.node("Relu", g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4))
    path = tmp_path / "in.onnx"
    onnx.save(g.model(g.bn(y, 4)), path)
    return path


def test_writes_the_result_and_a_summary(source, tmp_path, capsys):
    out = tmp_path / "out.onnx"
    assert main(["optimize", str(source), "-o", str(out)]) == 0
    assert operators(onnx.load(out)) == {"Conv": 1, "Relu": 1, BN: 1}
    assert_same(onnx.load(source), onnx.load(out))
    expected = f"wrote {out}: 4 -> 3 nodes, BatchNorm 1 folded, BatchNorm 1 kept, verified\n"
    assert capsys.readouterr().out == expected


def test_says_which_outputs_are_not_verified(tmp_path, capsys):
    path, out = tmp_path / "in.onnx", tmp_path / "out.onnx"
    text = "{ n = Neg (x) e = Exp (n) m = Neg (e) y = Log (m) z = Relu (x) }"
    onnx.save(parsed(f"g (float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {text}"), path)
    assert main(["optimize", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out.endswith(", verified but for 'y' (no finite number on random inputs)\n")


def test_explains_each_batchnorm(source, tmp_path, capsys):
    assert main(["optimize", str(source), "-o", str(tmp_path / "out.onnx"), "--explain", "--no-verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("BatchNorm 1 kept")
    assert lines[1] == "  BatchNorm batchnormalization_2: folded into conv_1"
    assert lines[2].startswith("  BatchNorm batchnormalization_4: kept: Relu 'relu_3' before it")


def test_says_that_there_is_nothing_to_explain(tmp_path, capsys):
    g = Graph()
    onnx.save(g.model(g.node("Relu", g.input("x", 2, 3))), tmp_path / "m.onnx")
    path = str(tmp_path / "m.onnx")
    assert main(["optimize", path, "-o", path, "--explain"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  The model has no BatchNorm and no LRN."


def test_writes_json(source, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["optimize", str(source), "-o", str(tmp_path / "out.onnx"), "--json", str(report)]) == 0
    document = json.loads(report.read_text())
    assert (document["schema"], document["nodes_before"], document["nodes_after"]) == (1, 4, 3)
    assert [item["status"] for item in document["batchnorm"]] == ["folded", "kept"]
    assert set(document["batchnorm"][0]) >= {"node", "status", "into", "reason"}
    assert document["lrn"] == []
    capsys.readouterr()
    assert main(["optimize", str(source), "-o", str(tmp_path / "out.onnx"), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_may_write_over_its_input(source):
    before = onnx.load(source)
    assert main(["optimize", str(source), "-o", str(source)]) == 0
    assert_same(before, onnx.load(source))
    assert [path.name for path in source.parent.iterdir()] == ["in.onnx"]


@pytest.mark.parametrize("target", ["portable", "ort-cpu", "tensorrt"])
def test_knows_its_targets(source, tmp_path, target):
    assert main(["optimize", str(source), "-o", str(tmp_path / "out.onnx"), "--target", target]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.onnx", "-o", "out.onnx"], "missing.onnx: cannot be read"),
        (["text.onnx", "-o", "out.onnx"], "text.onnx: not an ONNX model"),
        (["in.onnx", "-o", "nowhere/out.onnx"], "nowhere/out.onnx: cannot be written"),
        (["in.onnx", "-o", "out.onnx", "--shape", "z:1"], "a shape is given for 'z'"),
        (["in.onnx"], "missing option '-o'"),
        (["in.onnx", "-o", "out.onnx", "--target", "toaster"], "toaster"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(source, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.onnx").write_text("no model at all")
    assert main(["optimize", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_holds_the_model_and_nothing_else(source, name):
    command = [sys.executable, "-m", "normdeploy", "optimize", str(source), "-o", name, "--explain"]
    done = subprocess.run(command, capture_output=True, check=True)
    onnx.checker.check_model(onnx.load_from_string(done.stdout), full_check=True)


def test_standard_output_is_for_one_thing(source, run):
    run("optimize", source, "-o", "-", "--json", "-").assert_refused("cannot both be standard output")
