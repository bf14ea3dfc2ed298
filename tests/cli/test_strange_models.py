"""Models that can be read and make no sense, or little: a result or one line, never an internal error."""

import io
import json
import zipfile

import numpy as np
import pytest
from onnx import TensorProto

from tests.builders import FLOAT, Graph, conv_lrn, unary

VERBS = ("inspect", "optimize", "check")


@pytest.fixture(params=VERBS)
def ended(request, run, tmp_path):
    """How a verb ends on a model: its exit code, with 2 checked to be one line."""

    def ended(proto):
        path = tmp_path / "m.onnx"
        path.write_bytes(proto.SerializeToString())
        more = {"optimize": ["-o", tmp_path / "out.onnx"], "check": ["--backend", "onnxruntime"]}
        outcome = run(request.param, path, *more.get(request.param, []))
        if outcome.code == 2:
            outcome.assert_refused()
        return request.param, outcome

    return ended


@pytest.mark.parametrize("size", [0, -1, -(2**63)])
def test_an_lrn_without_a_window(ended, size):
    verb, outcome = ended(conv_lrn(size=size))
    assert outcome.code == (0 if verb == "inspect" else 2)
    if verb != "inspect":
        assert f"LRN size must be at least 1, got {size}" in outcome.err


@pytest.mark.parametrize("name", ["alpha", "beta", "bias"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_parameters_that_are_not_finite(ended, name, value):
    verb, outcome = ended(conv_lrn(**{name: value}))
    assert outcome.code == (0 if verb == "inspect" else 2)
    if verb != "inspect":
        assert "must be finite" in outcome.err


def test_a_type_that_is_not_stated(ended):
    proto = conv_lrn()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UNDEFINED
    verb, outcome = ended(proto)
    assert outcome.code == (0 if verb == "inspect" else 2)


@pytest.mark.parametrize("dims", [[0, 3], ["N", 0], [0]])
def test_a_check_of_nothing(run, tmp_path, dims):
    path = tmp_path / "m.onnx"
    path.write_bytes(unary("Relu", dims).SerializeToString())
    run("check", path, "--backend", "onnxruntime").assert_refused("a dimension of 0", "'x'")


def test_an_auxiliary_input_may_be_empty(run, tmp_path):
    graph = Graph()
    x, none = graph.input("x", 2, 3), graph.input("none", 0, 3)
    path = tmp_path / "m.onnx"
    path.write_bytes(graph.model(graph.node("Concat", x, none, axis=0)).SerializeToString())
    assert run("check", path, "--backend", "onnxruntime").code == 0


@pytest.mark.parametrize("shape", [(-1, 3, 6, 6), (2, 3, -6, -6), (0, 3, 6, 6)])
def test_data_whose_header_says_none(run, good, tmp_path, shape):
    data = tmp_path / "x.npz"
    np.savez(data, x=np.ones((9, 3, 6, 6), np.float32))
    content, old = data.read_bytes(), b"(9, 3, 6, 6)"
    assert old in content
    new = str(shape).encode()
    data.write_bytes(_with_header(content, old, new))
    run("check", good, "--data", data, "--backend", "onnxruntime").assert_refused("x.npz")


def _with_header(content: bytes, old: bytes, new: bytes) -> bytes:
    """The archive with another shape in its array's header, whose padding makes up for the length."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        array = archive.read("x.npy")
    changed = array.replace(old + b", }" + b" " * (len(new) - len(old)), new + b", }", 1)
    assert new in changed
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x.npy", changed)
    return target.getvalue()


class TestJSON:
    @staticmethod
    def document(run, path, proto, verb, *more):
        path.write_bytes(proto.SerializeToString())
        outcome = run(verb, path, *more, "--json", "-")
        assert outcome.code == 0, outcome.err

        def refuse(constant):
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(outcome.out, parse_constant=refuse)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_attributes_that_json_does_not_have_are_null(self, run, tmp_path, value):
        found = self.document(run, tmp_path / "m.onnx", conv_lrn(alpha=value), "inspect")
        assert found["normalizations"][0]["parameters"]["alpha"] is None

    def test_attributes_that_are_no_numbers(self, run, tmp_path):
        proto = conv_lrn()
        proto.graph.node[1].domain, proto.graph.node[1].op_type = "normdeploy", "IntraChannelLRN"
        proto.opset_import.add(domain="normdeploy", version=1)
        graph = proto.graph.node[1].attribute.add(name="extra", type=5)
        graph.g.name = "inner"
        found = self.document(run, tmp_path / "m.onnx", proto, "inspect")
        assert "extra" not in found["normalizations"][0]["parameters"]

    @pytest.mark.parametrize(
        "element",
        [TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, FLOAT],
    )
    def test_checks_of_outputs_of_every_type(self, run, tmp_path, element):
        proto = unary("Cast", ["N", 3], FLOAT, to=element)
        proto.graph.output[0].type.tensor_type.elem_type = element
        found = self.document(run, tmp_path / "m.onnx", proto, "check", "--backend", "onnxruntime")
        assert found["verdict"] == "pass"
        assert found["backends"][0]["outputs"][0]["name"] == "y"
