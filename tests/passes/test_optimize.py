"""What `optimize` promises beyond folding: proof, names, metadata, files, tidying."""

import subprocess
import sys
import textwrap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import normdeploy as nd
from normdeploy.errors import InputError, ModelError
from normdeploy.graph.io import load, save
from normdeploy.passes import pipeline
from tests.builders import FLOAT, Graph
from tests.equivalence import assert_same, operators, optimized


def conv_bn(**keywords) -> onnx.ModelProto:
    g = Graph(**keywords)
    return g.model(g.node("Relu", g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4)))


# Proof


class _Spoil(pipeline.RemoveIdentities):
    """A pass with a defect: it doubles the first weight."""

    def call(self, model):
        value = next(iter(model.graph.initializers.values()))
        value.const_value = onnx_ir_tensor(2 * value.const_value.numpy())
        return super().call(model)


def onnx_ir_tensor(array):
    import onnx_ir

    return onnx_ir.tensor(array)


def test_a_result_that_differs_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "RemoveIdentities", _Spoil)
    with pytest.raises(
        ModelError, match=r"not the same: of output 'relu_3_out', \d+ of 144 elements are off"
    ):
        nd.optimize(conv_bn())
    assert nd.optimize(conv_bn(), verify=False).report.batchnorm


def test_a_dimension_that_the_model_leaves_open_is_guessed():
    g = Graph()
    y = g.bn(g.conv(g.input("x", "N", 3, "H", "W"), 3, 4), 4)
    assert operators(nd.optimize(g.model(y)).model) == {"Conv": 1}


def test_a_shape_can_be_given():
    g = Graph()
    x = g.input("x", "N", 3, "H", "W")
    y = g.node("Reshape", g.bn(g.conv(x, 3, 4, kernel=1), 4), g.weight([0, 4 * 5 * 5], np.int64))
    with pytest.raises(ModelError, match="cannot be verified"):
        nd.optimize(g.model(y))
    assert operators(nd.optimize(g.model(y), shapes={"x": (1, 3, 5, 5)}).model)["Conv"] == 1
    with pytest.raises(InputError, match="does not fit"):
        nd.optimize(g.model(y), shapes={"x": (1, 4, 5, 5)})


def test_what_the_reference_cannot_compute_is_refused_unless_verification_is_skipped():
    g = Graph()
    y = g.bn(g.conv(g.input("x", "N", 3, 8, 8), 3, 4), 4)
    model = g.model(y)
    model.graph.node.append(helper.make_node("Mystery", [y], ["z"], name="m", domain="com.example"))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.output.append(helper.make_tensor_value_info("z", FLOAT, ["N", 4, 6, 6]))
    with pytest.raises(ModelError, match=r"cannot be verified: node 'm' \(Mystery, domain 'com.example'"):
        nd.optimize(model)
    assert operators(nd.optimize(model, verify=False).model) == {"Conv": 1, "Mystery": 1}


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


# Tidying


def test_identities_and_dropout_go():
    g = Graph()
    y = g.node("Identity", g.node("Dropout", g.node("Identity", g.node("Relu", g.input("x", 2, 3)))))
    result = optimized(g.model(y)).model
    assert operators(result) == {"Relu": 1}
    assert result.graph.node[0].output == [y]


def test_an_identity_of_another_output_stays():
    g = Graph()
    y = g.node("Relu", g.input("x", 2, 3))
    assert operators(optimized(g.model(y, g.node("Identity", y))).model) == {"Relu": 1, "Identity": 1}


def test_an_identity_of_an_input_or_a_constant_stays():
    g = Graph()
    a, b = g.node("Identity", g.input("x", 2, 3)), g.node("Identity", g.normal(2, 3))
    result = optimized(g.model(a, b)).model
    assert [item.name for item in result.graph.output] == [a, b]


def test_a_branch_that_passes_on_a_tensor_from_outside_stays():
    g = Graph()
    y = g.node("Relu", g.input("x", 2, 3))
    branches = {}
    for name in ("then_branch", "else_branch"):
        info = [helper.make_tensor_value_info(name, FLOAT, [2, 3])]
        op = "Identity" if name == "then_branch" else "Neg"
        branches[name] = helper.make_graph([helper.make_node(op, [y], [name])], name, [], info)
    z = g.node("If", g.input("c", element=TensorProto.BOOL), **branches)
    result = optimized(g.model(z)).model
    assert [node.op_type for node in result.graph.node[1].attribute[0].g.node] == ["Identity"] or [
        node.op_type for node in result.graph.node[1].attribute[1].g.node
    ] == ["Identity"]


def test_dropout_in_training_mode_stays():
    g = Graph()
    y = g.node("Dropout", g.input("x", 2, 3), g.weight(0.5), g.weight(True, bool))
    result = nd.optimize(g.model(y), verify=False)
    assert operators(result.model) == {"Dropout": 1}


def test_duplicates_go_but_not_random_ones():
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Add", g.node("Exp", x), g.node("Exp", x))
    assert operators(optimized(g.model(y)).model) == {"Exp": 1, "Add": 1}
    g = Graph()
    x = g.input("x", 2, 3)
    y = g.node("Sub", g.node("Bernoulli", x), g.node("Bernoulli", x))
    assert operators(nd.optimize(g.model(y), verify=False).model)["Bernoulli"] == 2


def test_constants_are_computed_unless_they_grow_or_are_quantized():
    g = Graph()
    x = g.input("x", 4)
    y = g.node("Add", x, g.node("Sqrt", g.weight([1, 4, 9, 16])))
    q = g.node("DequantizeLinear", g.weight([1, 2, 3, 4], np.int8), g.weight(0.5), g.weight(0, np.int8))
    z = g.node("Add", y, q)
    big = g.node("ConstantOfShape", g.weight([100, 1000, 4], np.int64))
    left = operators(optimized(g.model(z, g.node("Add", x, big))).model)
    assert left == {"Add": 3, "DequantizeLinear": 1, "ConstantOfShape": 1}


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
    assert (tmp_path / f"{target}.data").is_file()
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
    assert (tmp_path / "m.onnx.data").stat().st_size >= 32 * 64 * 4
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
