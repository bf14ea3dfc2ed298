import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import normdeploy
from normdeploy.cli.app import VERBS
from tests.builders import model


def test_help_lists_every_verb(run):
    outcome = run("--help")
    assert outcome.code == 0
    for verb in VERBS:
        assert verb in outcome.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb):
    outcome = run(verb, "--help")
    assert outcome.code == 0
    assert f"normdeploy {verb}" in outcome.out


def test_version(run):
    assert run("--version").out.strip() == f"normdeploy {normdeploy.__version__}"


def test_doctor_tells_what_works(run):
    outcome = run("doctor")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines() if line.split()}
    assert " yes " in lines["onnxruntime"]
    assert onnx.__version__ in lines["onnx"]
    for backend in ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-tensorrt"):
        mended = "pip install" in lines[backend] or "no NVIDIA driver" in lines[backend]
        assert mended or " yes " in lines[backend]
    assert "nvcc" in lines


@pytest.fixture
def normalized(tmp_path):
    """LRN twice, BatchNormalization in the main graph and in a branch of If, and GroupNormalization."""
    ones = np.ones(6, np.float32)
    statistics = ["one"] * 4
    branch = helper.make_graph(
        [helper.make_node("BatchNormalization", ["even", *statistics], ["inner"], name="inner_bn")],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, ["N", 6, 4, 4])],
    )
    outer = helper.make_graph(
        [helper.make_node("Identity", ["even"], ["kept"])],
        "other",
        [],
        [helper.make_tensor_value_info("kept", TensorProto.FLOAT, ["N", 6, 4, 4])],
    )
    path = tmp_path / "normalized.onnx"
    onnx.save(
        model(
            [
                helper.make_node("LRN", ["x"], ["odd"], name="odd_lrn", size=3, alpha=3e-4),
                helper.make_node("LRN", ["odd"], ["even"], name="even_lrn", size=4),
                helper.make_node(
                    "If", ["flag"], ["chosen"], name="choice", then_branch=branch, else_branch=outer
                ),
                helper.make_node("BatchNormalization", ["chosen", *statistics], ["bn"], name="outer_bn"),
                helper.make_node("InstanceNormalization", ["bn", "one", "one"], ["y"], name="instance"),
            ],
            {"x": (TensorProto.FLOAT, ["N", 6, 4, 4]), "flag": (TensorProto.BOOL, [])},
            {"y": (TensorProto.FLOAT, ["N", 6, 4, 4])},
            {"one": ones},
        ),
        path,
    )
    return path


def test_inspect_as_json(run, normalized):
    outcome = run("inspect", normalized, "--json", "-")
    layers = {layer["node"]: layer for layer in json.loads(outcome.out)["normalizations"]}
    assert list(layers) == ["odd_lrn", "even_lrn", "inner_bn", "outer_bn", "instance"]
    odd, even = layers["odd_lrn"], layers["even_lrn"]
    assert odd["trainable"] == 0
    assert odd["paper"]["alpha"] == pytest.approx(1e-4)
    assert odd["native"] == ["onnx", "onnxruntime", "tensorrt"]
    assert odd["parameters"]["bias"] == 1.0
    assert even["paper"] is None
    assert even["not_native"] == {"onnxruntime": "size 4 is even", "tensorrt": "size 4 is even"}
    assert layers["outer_bn"]["trainable"] == 12
    assert layers["outer_bn"]["where"] == ""
    assert layers["inner_bn"]["where"] == "If 'choice' then_branch"


def test_inspect_compares_the_two_kinds(run, normalized):
    outcome = run("inspect", normalized)
    assert outcome.code == 0
    comparison = outcome.out[outcome.out.index("layers ") :]
    rows = {line[:20].strip(): line for line in comparison.splitlines()}
    assert "24 (scale and shift, 2 per channel)" in rows["trained parameters"]
    assert "lateral inhibition" in rows["purpose"]
    assert "internal covariate shift" in rows["purpose"]


def test_inspect_a_model_without_any(run, tmp_path):
    path = tmp_path / "plain.onnx"
    declared = {"x": (TensorProto.FLOAT, [1])}, {"y": (TensorProto.FLOAT, [1])}
    onnx.save(model([helper.make_node("Relu", ["x"], ["y"])], *declared), path)
    outcome = run("inspect", path)
    assert (outcome.code, "no normalization layers" in outcome.out) == (0, True)


FACTORY = """
import torch
from normdeploy.torch import IntraChannelLRN

def build():
    layers = [torch.nn.LocalResponseNorm(size) for size in (2, 3, 4, 5)]
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), *layers, IntraChannelLRN(3)
    )
    return module.eval(), (torch.randn(1, 3, 6, 6),)
"""


def test_what_export_writes_passes_check(run, tmp_path):
    source, target = tmp_path / "factory.py", tmp_path / "exported.onnx"
    source.write_text(FACTORY)
    outcome = run("export", f"{source}:build", "-o", target, "--dynamic", "input:0")
    assert outcome.code == 0, outcome.err
    assert "folded" in outcome.out
    assert run("check", target, "--backend", "onnxruntime").code == 0


def test_export_refuses_pickles(run, tmp_path):
    pickle = tmp_path / "model.pt"
    pickle.write_bytes(b"\x80\x04.")
    run("export", pickle, "-o", tmp_path / "out.onnx").assert_refused("model.pt", "pickled")
    assert not (tmp_path / "out.onnx").exists()
