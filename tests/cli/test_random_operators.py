"""Models that draw random numbers: what can be said of them is said, what cannot be checked is refused."""

from __future__ import annotations

import json

import onnx
import pytest

from tests.builders import parsed

DRAWN = {
    "RandomNormal": "r = RandomNormal <shape = [2, 3]> ()",
    "RandomNormalLike": "r = RandomNormalLike (x)",
    "RandomUniform": "r = RandomUniform <shape = [2, 3]> ()",
    "RandomUniformLike": "r = RandomUniformLike (x)",
    "Bernoulli": "p = Sigmoid (x)  r = Bernoulli (p)",
    "Multinomial": "i = Multinomial <dtype = 7, sample_size = 3> (x)  r = Cast <to = 1> (i)",
    "Dropout": "t = Constant <value = bool {1}> ()  r = Dropout (x, , t)",
}


@pytest.fixture(params=DRAWN)
def drawn(request, tmp_path):
    """A model that draws: its file, and the operator that does."""
    model = parsed(f"g (float[2, 3] x) => (float[2, 3] y) {{ {DRAWN[request.param]}  y = Add (x, r) }}")
    (node,) = [node for node in model.graph.node if node.op_type == request.param]
    node.name = "the_draw"
    onnx.save(model, tmp_path / "drawn.onnx")
    return tmp_path / "drawn.onnx", request.param


def test_check_names_the_node_in_one_line(drawn, run):
    path, op_type = drawn
    outcome = run("check", path, "--backend", "onnxruntime", "--samples", "1")
    outcome.assert_refused(f"node 'the_draw' ({op_type}, opset 21): ")
    assert outcome.err.endswith("draws random numbers, so nothing that depends on them can be checked\n")


def test_inspect_and_optimize_take_it(drawn, run, tmp_path):
    path, op_type = drawn
    outcome = run("inspect", path, "--json", "-")
    assert outcome.code == 0
    assert op_type in {item["operator"] for item in json.loads(outcome.out)["operators"]}
    optimized = tmp_path / "optimized.onnx"
    assert run("optimize", path, "-o", optimized, "--no-verify").code == 0
    assert op_type in {node.op_type for node in onnx.load(optimized).graph.node}
    refused = run("optimize", path, "-o", tmp_path / "other.onnx")
    refused.assert_refused("draws random numbers", "skip the verification")
