"""What runtimes take and onnx.checker does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import normdeploy as nd
from normdeploy.errors import ModelError
from normdeploy.graph import leniency
from normdeploy.graph.io import load, save, to_proto
from normdeploy.reference import evaluate
from tests.builders import FLOAT, conv_lrn, model, parsed

X = {"x": np.array([1.0, -4.0], np.float32)}


def chain(order):
    """y = √|2x|, its nodes in some order."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["a"]),
        helper.make_node("Abs", ["a"], ["b"]),
        helper.make_node("Sqrt", ["b"], ["y"]),
    ]
    return model([nodes[i] for i in order], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])})


class TestOrder:
    @pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (2, 0, 1)])
    def test_nodes_are_sorted(self, order):
        given = chain(order)
        before = given.SerializeToString()
        loaded = load(given)
        assert [node.op_type for node in loaded.graph] == ["Add", "Abs", "Sqrt"]
        np.testing.assert_allclose(evaluate(given, X)["y"], np.sqrt(np.abs(2 * X["x"])))
        assert given.SerializeToString() == before

    def test_a_file_is_read_and_written_in_order(self, tmp_path):
        onnx.save(chain((2, 1, 0)), tmp_path / "x.onnx")
        save(load(tmp_path / "x.onnx"), tmp_path / "sorted.onnx")
        onnx.checker.check_model(str(tmp_path / "sorted.onnx"))

    def test_those_in_order_keep_their_places(self):
        given = parsed("""
        g (float[2] x) => (float[2] y) { b = Neg (x)  a = Abs (x)  c = Abs (b)  y = Add (a, c) }""")
        assert leniency.put_right(given) is given
        given.graph.node.insert(0, given.graph.node.pop(3))
        assert [node.output[0] for node in leniency.put_right(given).graph.node] == ["b", "a", "c", "y"]

    def test_what_branches_read_comes_before_them(self):
        given = parsed("""
        g (bool c, float[2] x) => (float[2] y) {
            a = Neg (x)
            b = Abs (x)
            y = If (c) <
                then_branch = t () => (float[2] p) { q = Sqrt (b)  p = Add (q, q) },
                else_branch = e () => (float[2] r) { r = Identity (a) }
            >
        }""")
        given.graph.node.insert(0, given.graph.node.pop(2))
        inner = given.graph.node[0].attribute[0].g
        inner.node.insert(0, inner.node.pop(1))
        for condition, expected in ((True, 2 * np.sqrt(np.abs(X["x"]))), (False, -X["x"])):
            np.testing.assert_allclose(evaluate(given, {"c": np.array(condition), **X})["y"], expected)

    def test_in_functions(self):
        given = parsed(
            "g (float[2] x) => (float[2] y) { y = local.F (x) }",
            '<domain: "local", opset_import: ["": 21]> F (a) => (c) { b = Neg (a)  c = Abs (b) }',
        )
        nodes = given.functions[0].node
        nodes.insert(0, nodes.pop(1))
        np.testing.assert_allclose(evaluate(given, X)["y"], np.abs(X["x"]))

    def test_a_cycle_is_an_error(self):
        nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Abs", ["a"], ["b"])]
        with pytest.raises(ModelError, match="has a cycle, or reads what nothing computes"):
            load(model(nodes, {"x": (FLOAT, [2])}, {"b": (FLOAT, [2])}))

    def test_what_the_float16_converter_writes(self, tmp_path):
        float16 = pytest.importorskip("onnxruntime.transformers.float16")
        given = conv_lrn(batch=1)
        half = float16.convert_float_to_float16(given, keep_io_types=True, op_block_list=["LRN"])
        with pytest.raises(onnx.checker.ValidationError, match="topologically sorted"):
            onnx.checker.check_model(half)
        onnx.save(half, tmp_path / "half.onnx")
        x = {"x": np.random.default_rng(0).standard_normal((1, 3, 6, 6)).astype(np.float32)}
        expected, actual = evaluate(given, x)["y"], evaluate(tmp_path / "half.onnx", x)["y"]
        np.testing.assert_allclose(actual, expected, atol=2e-3 * np.abs(expected).max())


def of_ir_3(external=None):
    weights = np.array([2.0, 3.0], np.float32)
    given = model([helper.make_node("Mul", ["x", "w"], ["y"])], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])})
    given.ir_version = 3
    tensor = given.graph.initializer.add()
    tensor.CopyFrom(numpy_helper.from_array(weights, "w"))
    if external is not None:
        external.write_bytes(weights.tobytes())
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=external.name)
    return given, weights


class TestUnlistedInitializers:
    def test_they_are_listed_and_stay_optional(self):
        given, weights = of_ir_3()
        with pytest.raises(onnx.checker.ValidationError, match="not in graph input"):
            onnx.checker.check_model(given)
        loaded = load(given)
        assert [value.name for value in loaded.graph.inputs] == ["x", "w"]
        onnx.checker.check_model(to_proto(loaded))
        np.testing.assert_allclose(evaluate(loaded, X)["y"], X["x"] * weights)
        assert [value.name for value in given.graph.input] == ["x"]

    def test_in_an_external_file(self, tmp_path):
        given, weights = of_ir_3(tmp_path / "w.bin")
        (tmp_path / "x.onnx").write_bytes(given.SerializeToString())
        np.testing.assert_allclose(evaluate(tmp_path / "x.onnx", X)["y"], X["x"] * weights)
        save(load(tmp_path / "x.onnx"), tmp_path / "y.onnx")
        np.testing.assert_allclose(evaluate(tmp_path / "y.onnx", X)["y"], X["x"] * weights)


OWN = ["SimplifiedLayerNormalization", "LayerNormalization"]


def with_own_operator(op_type, opset=13):
    scale = np.array([1.0, 2.0], np.float32)
    nodes = [helper.make_node(op_type, ["x", "s"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    return model(nodes, {"x": (FLOAT, [1, 2])}, {"y": (FLOAT, [1, 2])}, {"s": scale}, opset=opset)


class TestOperatorsOfTheRuntimeInTheStandardDomain:
    @pytest.mark.parametrize("op_type", OWN)
    def test_they_are_read_written_and_optimized(self, op_type, tmp_path):
        given = with_own_operator(op_type)
        with pytest.raises(onnx.checker.ValidationError, match="No Op registered"):
            onnx.checker.check_model(given)
        save(load(given), tmp_path / "x.onnx")
        assert [node.domain for node in onnx.load(tmp_path / "x.onnx").graph.node] == ["", ""]
        x = {"x": X["x"][None]}
        optimized = nd.optimize(tmp_path / "x.onnx").model
        np.testing.assert_array_equal(evaluate(given, x)["y"], evaluate(optimized, x)["y"])

    def test_the_rest_of_the_file_is_checked_all_the_same(self):
        given = with_own_operator("SimplifiedLayerNormalization")
        given.graph.node[1].op_type = "NoOperator"
        with pytest.raises(ModelError, match="NoOperator"):
            load(given)

    def test_an_operator_that_its_opset_has_is_no_exception(self):
        given = with_own_operator("LayerNormalization", opset=17)
        given.graph.node[0].ClearField("input")
        with pytest.raises(ModelError, match="LayerNormalization"):
            load(given)
