"""TensorRT's backends as far as they go without a GPU, in TensorRT-RTX, which shares the implementation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import Backend, find
from normdeploy.backends.hardware import gpus
from normdeploy.backends.tensorrt.engine import build_engine, deserialize
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.backends.tensorrt.model import ParsedModel, as_dtype, dtype_of
from normdeploy.backends.tensorrt.plugins import PluginOperator, prefer_plugins
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendFailure, BackendUnavailable, MissingDependencyError, ModelError
from tests.builders import conv_lrn, model
from tests.plugins.conftest import library  # noqa: F401

RTX = LIBRARIES["tensorrt-rtx"]
GIB = 2.0**30
DIGITS = Path(__file__).parents[3] / "models" / "digits" / "digits.onnx"

if find("tensorrt-rtx").missing(without_gpu=True):
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def trt():
    return RTX.load()


def parsed(trt, graph: onnx.ModelProto, folder: Path) -> ParsedModel:
    path = folder / "model.onnx"
    onnx.save(graph, path)
    return ParsedModel(RTX, trt, path, [])


def test_a_library_that_is_not_installed_has_its_install_line():
    nowhere = replace(RTX, modules=("no_such_tensorrt",))
    with pytest.raises(MissingDependencyError, match=r"pip install 'normdeploy\[rtx\]'"):
        nowhere.load()


def test_a_library_that_does_not_load_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open it')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match=r"broken_tensorrt does not load \(libnvinfer.so.10"):
        replace(RTX, modules=("broken_tensorrt",)).load()


def test_the_network_is_strongly_typed(trt, tmp_path):
    network = parsed(trt, conv_lrn(dtype=np.float16), tmp_path)
    assert network.network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert [layer["type"] for layer in network.layers] == ["CONVOLUTION", "LRN"]
    assert [layer["datatypes"] for layer in network.layers] == [["HALF"], ["HALF"]]
    assert dtype_of(network.inputs["x"].dtype, "x") == np.float16


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        (onnx.TensorProto.FLOAT, np.float32),
        (onnx.TensorProto.FLOAT16, np.float16),
        (onnx.TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (onnx.TensorProto.INT64, np.int64),
        (onnx.TensorProto.INT32, np.int32),
        (onnx.TensorProto.BOOL, np.bool_),
        (onnx.TensorProto.DOUBLE, np.float32),
    ],
)
def test_types_of_inputs(trt, element, dtype, tmp_path):
    graph = model(
        [helper.make_node("Transpose", ["x"], ["y"])], {"x": (element, [2, 3])}, {"y": (element, [3, 2])}
    )
    network = parsed(trt, graph, tmp_path)
    assert dtype_of(network.inputs["x"].dtype, "x") == dtype
    assert dtype_of(network.outputs["y"].dtype, "y") == dtype


def test_values_are_never_changed_by_more_than_rounding():
    assert as_dtype(np.array([1.5, np.pi]), np.dtype(np.float32), "x").dtype == np.float32
    assert as_dtype(np.array([7], np.int64), np.dtype(np.int32), "x").tolist() == [7]
    with pytest.raises(ModelError, match="input 'x' has values that int32 cannot hold"):
        as_dtype(np.array([2**40]), np.dtype(np.int32), "x")


def test_an_input_that_decides_shapes_is_refused(trt, tmp_path):
    graph = model(
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"x": (onnx.TensorProto.FLOAT, [2, 3]), "s": (onnx.TensorProto.INT64, [2])},
        {"y": (onnx.TensorProto.FLOAT, [None, None])},
    )
    with pytest.raises(ModelError, match="input 's' decides shapes by its values"):
        parsed(trt, graph, tmp_path)


def test_one_network_is_built_for_several_shapes(trt, tmp_path):
    """As a session does when another batch size arrives."""
    network = parsed(trt, conv_lrn(), tmp_path)
    for batch in (8, 3):
        shape = (batch, 3, 6, 6)
        assert build_engine(network, {"x": (shape, shape, shape)}).plan.nbytes > 0
    with pytest.raises(ModelError, match="input 'x' has no shape"):
        build_engine(network, {})
    with pytest.raises((RuntimeError, ModelError)):
        build_engine(network, {"x": ((1, 4, 6, 6),) * 3})


@pytest.mark.skipif(gpus().usable, reason="this machine can read engines")
def test_reading_an_engine_back_needs_a_driver(trt, tmp_path):
    network = parsed(trt, conv_lrn(batch=1), tmp_path)
    plan = build_engine(network, {}).plan
    with pytest.raises(BackendUnavailable, match="the NVIDIA driver is missing, or too old for the CUDA"):
        deserialize(trt, plan, network.messages)


def test_a_damaged_engine_is_refused(trt, tmp_path):
    network = parsed(trt, conv_lrn(batch=1), tmp_path)
    with pytest.raises((RuntimeError, BackendUnavailable)):
        deserialize(trt, b"not an engine", network.messages)


@pytest.mark.skipif(gpus().usable, reason="there is a GPU")
def test_a_session_without_a_driver_is_unavailable(tmp_path):
    onnx.save(conv_lrn(), tmp_path / "model.onnx")
    factory = "normdeploy.backends.tensorrt.session:open_tensorrt_rtx"
    with (
        WorkerSession(factory, tmp_path / "model.onnx", 60) as session,
        pytest.raises(BackendFailure, match="no NVIDIA driver") as caught,
    ):
        session.ready()
    assert caught.value.status == "unavailable"


def test_plugins_replace_functions_of_their_name_and_domain_only():
    proto = onnx.load(DIGITS)
    other = PluginOperator("IntraChannelLRN", "1", "somebody")
    assert prefer_plugins(proto, [other]) == []
    assert len(proto.functions) == 1
    operator = PluginOperator("IntraChannelLRN", "1", "normdeploy")
    assert prefer_plugins(proto, [other, operator]) == [operator]
    assert len(proto.functions) == 0
    (node,) = (node for node in proto.graph.node if node.domain == "normdeploy")
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    assert attributes["plugin_namespace"] == b"normdeploy"
    assert attributes["plugin_version"] == b"1"
    assert attributes["size"] == 3


def test_plugins_replace_functions_inside_functions_and_subgraphs():
    operator = PluginOperator("Inner", "2", "d")
    inner = helper.make_node("Inner", ["a"], ["b"], domain="d")
    branch = helper.make_graph([inner], "branch", [], [onnx.ValueInfoProto(name="b")])
    outer = helper.make_function(
        "d", "Outer", ["a"], ["b"], [inner], [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    )
    proto = model(
        [
            helper.make_node("Outer", ["x"], ["y"], domain="d"),
            helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch),
        ],
        {},
        {},
    )
    proto.functions.append(outer)
    assert prefer_plugins(proto, [operator]) == [operator]
    branches = [attribute.g.node[0] for attribute in proto.graph.node[1].attribute]
    for node in (*branches, proto.functions[0].node[0]):
        assert {attribute.name for attribute in node.attribute} == {"plugin_namespace", "plugin_version"}


def test_a_file_that_is_no_plugin_library(tmp_path, trt):
    text = tmp_path / "library.so"
    text.write_bytes(b"not a shared object")
    with pytest.raises(BackendUnavailable, match=r"library.so does not load: .*invalid ELF header|too short"):
        ParsedModel(replace(RTX, takes_plugins=True), trt, DIGITS, [text])


def test_the_parsers_abort_on_a_plugin_is_one_crashed_row(library, monkeypatch):  # noqa: F811
    """TensorRT-RTX ends the process when a node becomes a plugin; the others' results stand."""
    aborting = Backend(
        "abort", "tests.backends.misbehaving_backends:rtx_with_plugins", options={"plugins": [str(library)]}
    )
    monkeypatch.setitem(catalog.BACKENDS, "abort", aborting)
    image = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    report = nd.check(DIGITS, backends=["abort", "onnxruntime"], data={"image": image})
    crashed, right = report.backends
    assert (crashed.name, crashed.status) == ("abort", "crashed")
    assert "SIGABRT" in crashed.reason
    assert any("terminate called" in line for line in crashed.log)
    assert (right.name, right.status) == ("onnxruntime", "pass")
    assert report.verdict == "error"
