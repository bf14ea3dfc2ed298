"""What `optimize` promises beyond its transforms: names, metadata, versions, files, memory."""

import subprocess
import sys
import textwrap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import normdeploy as nd
from normdeploy.errors import ModelError
from normdeploy.graph.io import load, save
from tests.builders import FLOAT, Graph, data_file
from tests.equivalence import assert_same, operators, optimized


def conv_bn(**keywords) -> onnx.ModelProto:
    g = Graph(**keywords)
    return g.model(g.node("Relu", g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4)))


# What survives


def test_names_metadata_and_versions_survive():
    model = conv_bn()
    model.producer_name, model.producer_version, model.domain = "somebody", "1.2", "org.example"
    model.model_version, model.doc_string, model.graph.doc_string = 7, "words", "more words"
    model.graph.node[0].doc_string = "a layer"
    helper.set_model_props(model, {"author": "me"})
    result = optimized(model).model
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "ir_version"):
        assert getattr(result, field) == getattr(model, field), field
    assert list(result.metadata_props) == list(model.metadata_props)
    assert list(result.opset_import) == list(model.opset_import)
    assert (result.graph.name, result.graph.doc_string) == ("graph", "more words")
    assert [node.name for node in result.graph.node] == ["conv_1", "relu_3"]
    assert result.graph.node[0].doc_string == "a layer"
    assert [item.name for item in result.graph.output] == ["relu_3_out"]
    assert list(result.graph.input) == list(model.graph.input)
    # the tensor behind a folded BatchNorm keeps its name: what people look at is still there
    assert result.graph.node[0].output == ["batchnormalization_2_out"]


def test_functions_survive():
    g = Graph()
    body = [helper.make_node("Relu", ["a"], ["b"])]
    g.functions.append(
        helper.make_function("local", "Act", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    y = g.node("Act", g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4), domain="local")
    result = optimized(g.model(y)).model
    assert [item.name for item in result.functions] == ["Act"]
    assert operators(result) == {"Conv": 1, "Act": 1}


def test_ir_version_3_becomes_4_with_the_true_inputs_only():
    g = Graph(opset=7, ir_version=3)
    y = g.bn(g.conv(g.input("x", 2, 3, 8, 8), 3, 4), 4)
    result = optimized(g.model(y, weights_as_inputs=True)).model
    assert result.ir_version == 4
    assert [item.name for item in result.graph.input] == ["x"]


def test_inputs_with_a_default_stay_inputs():
    g = Graph()
    model = g.model(g.node("Mul", g.input("x", 2, 3), g.normal(2, 3)), weights_as_inputs=True)
    result = optimized(model).model
    assert [item.name for item in result.graph.input] == ["x", "w0"]
    assert operators(result) == {"Mul": 1}


# Files


def with_external_data(folder, keep: bool, channels: int = 64):
    g = Graph()
    y = g.conv(g.input("x", "N", 3, 8, 8), 3, channels)
    y = g.conv(g.node("Relu", y), channels, channels) if keep else y
    model = g.model(g.node("Relu", g.bn(y, channels)))
    path = folder / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=100)
    return path, onnx.load(path)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("target", ["m.onnx", "other.onnx", "sub/m.onnx"])
def test_external_data_stays_external(tmp_path, target, keep):
    path, model = with_external_data(tmp_path, keep)
    (tmp_path / "sub").mkdir()
    result = nd.optimize(path)
    result.save(tmp_path / target)
    proto = onnx.load(tmp_path / target, load_external_data=False)
    assert any(item.data_location == TensorProto.EXTERNAL for item in proto.graph.initializer)
    assert data_file(tmp_path / target).is_file()
    assert_same(model, onnx.load(tmp_path / target))
    assert_same(model, result.model)


def test_the_result_outlives_the_file_that_it_replaces(tmp_path):
    path, model = with_external_data(tmp_path, keep=True)
    result = nd.optimize(path, verify=False)
    result.save(path)
    result.save(tmp_path / "copy.onnx")
    assert_same(model, onnx.load(tmp_path / "copy.onnx"))
    assert_same(model, result.model)


def test_a_model_beyond_the_limit_of_protobuf_is_saved_and_not_serialized(tmp_path, monkeypatch):
    monkeypatch.setattr("normdeploy.graph.io.PROTOBUF_LIMIT", 4096)
    model = conv_bn()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((32, 64), np.float32), "large"))
    model.graph.node.append(helper.make_node("MatMul", ["z", "large"], ["zz"], name="matmul"))
    model.graph.input.append(helper.make_tensor_value_info("z", FLOAT, [2, 32]))
    model.graph.output.append(helper.make_tensor_value_info("zz", FLOAT, [2, 64]))
    result = nd.optimize(model)
    with pytest.raises(ModelError, match="too much for one protobuf message: save it to a file"):
        _ = result.model
    result.save(tmp_path / "m.onnx")
    assert data_file(tmp_path / "m.onnx").stat().st_size >= 32 * 64 * 4
    assert_same(model, onnx.load(tmp_path / "m.onnx"))


def test_an_invalid_result_is_not_written(tmp_path):
    graph = load(conv_bn())
    graph.graph.node(0).attributes.pop("group")
    next(iter(graph.graph)).op_type = "Convoluted"
    with pytest.raises(ModelError, match="not written"):
        save(graph, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


MEASURE = textwrap.dedent(
    """
    import resource, sys
    import normdeploy as nd
    from normdeploy.passes import pipeline
    import numpy, onnx, onnx_ir, normdeploy.reference
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = nd.optimize(sys.argv[1], verify=sys.argv[3] == "verify")
    result.save(sys.argv[2])
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
    """
)


@pytest.mark.parametrize("mode", ["skip", "verify"])
def test_memory_stays_about_the_size_of_the_model(tmp_path, mode):
    """40 layers of 4 MiB each; every other one has a BatchNorm."""
    if sys.platform != "linux":
        pytest.skip("ru_maxrss counts KiB on Linux only")
    random = np.random.default_rng(0)
    g = Graph()
    y = g.input("x", 1, 1024)
    weight = random.standard_normal((1024, 1024), dtype=np.float32) / 32
    for index in range(40):
        y = g.node("Gemm", y, g.weight(weight, name=f"layer{index}"))
        y = g.node("Relu", g.bn(y, 1024) if index % 2 else y)
    path = tmp_path / "m.onnx"
    onnx.save(g.model(y), path, save_as_external_data=True, location="m.data")
    size = (tmp_path / "m.data").stat().st_size
    assert size > 150e6
    command = [sys.executable, "-c", MEASURE, path, tmp_path / "out.onnx", mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.5 * size


def test_progress_names_each_stage_in_turn():
    seen = []
    nd.optimize(conv_bn(), progress=seen.append)
    assert seen[:3] == ["reading the model", "inferring shapes", "rewriting: remove identities"]
    assert "rewriting: fold BatchNorm" in seen
    assert "rewriting: recover LRN" in seen
    assert seen[-1] == "verifying"


def test_operators_before_and_after():
    g = Graph()
    report = nd.optimize(g.model(g.bn(g.conv(g.input("x", 1, 3, 8, 8), 3, 4), 4))).report
    assert report.operators_before == {"BatchNormalization": 1, "Conv": 1}
    assert report.operators_after == {"Conv": 1}
    assert report.to_json()["operators"] == [
        {"operator": "BatchNormalization", "before": 1, "after": 0},
        {"operator": "Conv", "before": 1, "after": 1},
    ]
