"""Random bytes, and random damage to good files, never give a traceback and never crash the process."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from normdeploy.cli import main
from normdeploy.errors import NormdeployError
from normdeploy.graph.io import load
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.samples import open_samples
from normdeploy.reference import Evaluator
from tests.builders import conv_lrn, model

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def branching() -> onnx.ModelProto:
    """With a subgraph, a function, a Constant, a Reshape and BatchNormalization: many kinds of messages."""
    then_branch, else_branch = (
        helper.make_graph(
            [helper.make_node(op_type, ["r"], [out])],
            op_type,
            [],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, [2, 2])],
        )
        for op_type, out in (("Relu", "a"), ("Abs", "b"))
    )
    opsets = [helper.make_opsetid("", 17)]
    square = helper.make_function(
        "own", "Square", ["v"], ["w"], [helper.make_node("Mul", ["v", "v"], ["w"])], opsets
    )
    proto = model(
        [
            helper.make_node("BatchNormalization", ["x", "one", "one", "one", "one"], ["n"]),
            helper.make_node("Constant", [], ["shape"], value_ints=[2, 2]),
            helper.make_node("Reshape", ["n", "shape"], ["r"]),
            helper.make_node("If", ["flag"], ["i"], then_branch=then_branch, else_branch=else_branch),
            helper.make_node("Square", ["i"], ["y"], domain="own"),
        ],
        {"x": (TensorProto.FLOAT, ["N", 2, 1, 2]), "flag": (TensorProto.BOOL, [])},
        {"y": (TensorProto.FLOAT, [2, 2])},
        {"one": np.ones(2, np.float32)},
    )
    proto.opset_import.add(domain="own", version=1)
    proto.functions.append(square)
    return proto


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones((2, 3, 6, 6), np.float32))
    return buffer.getvalue()


GOOD_MODELS = {"conv_lrn": conv_lrn().SerializeToString(), "branching": branching().SerializeToString()}
GOOD_DATA = npz()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The file with a few bytes changed, inserted, removed or moved, most of them outside long weights."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "set", "flip", "insert", "delete", "repeat", "cut"]))
        if not data:
            break
        if kind == "set":
            data[position] = draw(st.integers(0, 255))
        elif kind == "flip":
            data[position] ^= 1 << draw(st.integers(0, 7))
        elif kind == "insert":
            data[position:position] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "delete":
            del data[position : position + draw(st.integers(1, 16))]
        elif kind == "repeat":
            data[position:position] = data[position : position + draw(st.integers(1, 64))]
        else:
            del data[position:]
    return bytes(data)


def survives(capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
    code = main(arguments)
    captured = capsys.readouterr()
    assert code in (0, 1, 2, 3)
    assert "internal error" not in captured.err, captured.err
    assert "Traceback" not in captured.out + captured.err
    if code == 2:
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1, captured.err
    else:
        assert captured.err == ""


def survives_as(capsys: pytest.CaptureFixture[str], suffix: str, content: bytes, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{suffix}"
        path.write_bytes(content)
        survives(capsys, *(argument.format(path=path) for argument in arguments))


@settings(SETTINGS, max_examples=100)
@given(content=st.binary(max_size=200))
@pytest.mark.parametrize("verb", ["check", "inspect"])
def test_random_bytes(capsys, verb, content):
    survives_as(capsys, ".onnx", content, verb, "{path}")


@settings(SETTINGS, max_examples=250)
@given(data=st.data())
@pytest.mark.parametrize("name", GOOD_MODELS)
def test_damaged_models_inspected(capsys, name, data):
    survives_as(capsys, ".onnx", data.draw(damaged(GOOD_MODELS[name])), "inspect", "{path}")


@settings(SETTINGS, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("name", GOOD_MODELS)
def test_damaged_models_checked_in_a_backend(capsys, name, data):
    content = data.draw(damaged(GOOD_MODELS[name]))
    survives_as(capsys, ".onnx", content, "check", "{path}", "--samples", "1", "--timeout", "20")


@settings(SETTINGS, max_examples=250)
@given(data=st.data())
@pytest.mark.parametrize("name", GOOD_MODELS)
def test_damaged_models_evaluated(name, data):
    """The reference alone, in this process: it gives a result, or an error of ours."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(NormdeployError):
        path = Path(folder) / "damaged.onnx"
        path.write_bytes(data.draw(damaged(GOOD_MODELS[name])))
        loaded = load(path)
        with open_samples(declared_inputs(loaded), None, 1, 0) as samples:
            for batch in samples.batches:
                Evaluator(loaded).run(batch.inputs)


@settings(SETTINGS, max_examples=60)
@given(data=st.data())
def test_damaged_data(capsys, good, data):
    content = data.draw(damaged(GOOD_DATA))
    survives_as(capsys, ".npz", content, "check", str(good), "--data", "{path}", "--backend", "tensorrt")
