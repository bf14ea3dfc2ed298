"""`normdeploy build` at the command line, with TensorRT-RTX, which needs no GPU for it."""

import json
from pathlib import Path

import onnx
import pytest

from normdeploy.backends.catalog import find
from normdeploy.cli import main
from normdeploy.engine import builder
from tests.builders import conv_lrn

if find("tensorrt-rtx").missing(without_gpu=True):
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "digits.onnx"
RTX = ("--backend", "tensorrt-rtx")


def test_a_range_of_shapes(run, tmp_path):
    output, copy = tmp_path / "digits.engine", tmp_path / "copy.json"
    shape = "image:1x1x8x8:4x1x8x8:16X1X8X8"
    outcome = run("build", DIGITS, "-o", output, *RTX, "--shape", shape, "--json", copy)
    assert (outcome.code, outcome.err) == (0, "")
    assert "input image: FLOAT 1x1x8x8 4x1x8x8 16x1x8x8" in outcome.out
    assert "LRN features.3: native layer" in outcome.out
    assert "IntraChannelLRN features.7: function of standard operators" in outcome.out
    record = json.loads(copy.read_text())
    assert record == json.loads((tmp_path / "digits.engine.json").read_text())
    assert record["model"] == str(DIGITS)
    assert record["inputs"][0]["max"] == [16, 1, 8, 8]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "copy.json",
        "digits.engine",
        "digits.engine.json",
    ]


def test_json_on_standard_output(run, good, tmp_path):
    outcome = run("build", good, "-o", tmp_path / "e", *RTX, "--shape", "x:2x3x6x6", "--json", "-")
    assert json.loads(outcome.out)["inputs"][0]["min"] == [2, 3, 6, 6]


def test_a_name_may_hold_colons(run, tmp_path):
    graph = conv_lrn()
    graph.graph.input[0].name = graph.graph.node[0].input[0] = "scope/x:0"
    onnx.save(graph, tmp_path / "model.onnx")
    for shape in ("scope/x:0:1x3x6x6", "scope/x:0:1x3x6x6:2x3x6x6:3x3x6x6"):
        outcome = run("build", tmp_path / "model.onnx", "-o", tmp_path / "e", *RTX, "--shape", shape)
        assert outcome.code == 0, outcome.err


def test_what_is_not_used_is_said(run, good, tmp_path):
    options = ("--plugin", good, "--timing-cache", tmp_path / "cache")
    outcome = run("build", good, "-o", tmp_path / "e", *RTX, "--shape", "x:1x3x6x6", *options)
    assert outcome.code == 0
    assert "tensorrt-rtx takes no plugins" in outcome.out
    assert "tensorrt-rtx has no timing cache" in outcome.out


def test_a_refused_node_is_one_line_and_exit_code_3(run, tmp_path):
    onnx.save(conv_lrn(size=4), tmp_path / "even.onnx")
    outcome = run("build", tmp_path / "even.onnx", "-o", tmp_path / "e", *RTX, "--shape", "x:1x3x6x6")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("error: tensorrt-rtx: the parser refuses node 'lrn' (LRN): ")
    assert not (tmp_path / "e").exists()


def test_an_abort_is_one_line_and_exit_code_3(run, good, tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "_COMPILER", "tests.cli.misbehaving_compilers:aborts")
    (tmp_path / "e").write_text("what was there before")
    outcome = run("build", good, "-o", tmp_path / "e", *RTX, "--shape", "x:1x3x6x6")
    assert outcome.code == 3
    assert outcome.err == (
        "error: tensorrt-rtx: its process was ended by SIGABRT, while loading the model "
        "(terminate called without an active exception)\n"
    )
    assert (tmp_path / "e").read_text() == "what was there before"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["e", "good.onnx"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "input 'x' is float32 [N, 3, 6, 6]: give its shape, such as --shape x:1x3x6x6"),
        (("--shape", "x:1x4x6x6"), "does not fit"),
        (("--shape", "x:1x3x6x6", "--plugin", "none.so"), "none.so: there is no such plugin library"),
        (("--shape", "x:1x3x6x6", "--shape", "x:1x3x6x6"), "given twice"),
        (("--shape", "x:1x3x6x6", "--timeout", "0"), "timeout must be above 0"),
    ],
)
def test_bad_usage(run, good, tmp_path, arguments, part):
    run("build", good, "-o", tmp_path / "e", *RTX, *arguments).assert_refused(part)


@pytest.mark.parametrize("shape", ["x", "x:", "x:1x-3", "x:2x3x6x6:1x3x6x6:4x3x6x6"])
def test_bad_shapes(run, good, tmp_path, shape):
    assert run("build", good, "-o", tmp_path / "e", *RTX, "--shape", shape).code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["good.onnx"]


def test_a_library_that_is_not_there_is_exit_code_3(run, good, tmp_path):
    reason = find("tensorrt").missing()
    if reason is None:
        pytest.skip("TensorRT is installed, and there is a GPU")
    outcome = run("build", good, "-o", tmp_path / "e", "--backend", "tensorrt", "--shape", "x:1x3x6x6")
    assert outcome.code == 3
    assert outcome.err.startswith("error: tensorrt is unavailable: ")
    assert outcome.err.count("\n") == 1


def test_damaged_models_are_refused(run, tmp_path):
    for name, content in {"empty": b"", "text": b"hello", "half": DIGITS.read_bytes()[:5000]}.items():
        path = tmp_path / name
        path.write_bytes(content)
        run("build", path, "-o", tmp_path / "e", *RTX).assert_refused(name)


def test_help_says_how_to_give_a_range(capsys):
    assert main(["build", "--help"]) == 0
    assert "NAME:MIN:OPT:MAX" in capsys.readouterr().out
