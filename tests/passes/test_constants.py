"""The arrays of constant tensors, in their own types, and why other tensors have none."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.passes import constants as module
from normdeploy.passes.constants import Constants
from tests.builders import FLOAT, Graph, model


def read(graph: Graph, *names: str, **options) -> tuple[Constants, list[ir.Value]]:
    """The constants of a graph, and the tensors of these names."""
    loaded = load(graph.model(names[-1], **options))
    infer(loaded)
    values = [*loaded.graph.inputs, *loaded.graph.initializers.values()]
    named = {value.name: value for value in (*values, *(v for node in loaded.graph for v in node.outputs))}
    return Constants(loaded), [named[name] for name in names]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
def test_computed_constants_have_their_own_type(dtype):
    g = Graph(dtype, opset=22)
    constants, (product,) = read(g, g.node("Mul", g.weight([1, 2]), g.weight([3, 4])))
    array = constants.array(product)
    assert array is not None
    assert array.dtype == dtype
    np.testing.assert_array_equal(array.astype(float), [3, 8])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"value_float": 1.5}, np.float32(1.5)),
        ({"value_floats": [1.5, 2.0]}, np.array([1.5, 2], np.float32)),
        ({"value_int": 3}, np.int64(3)),
        ({"value_ints": [3, 4]}, np.array([3, 4])),
        ({"value": helper.make_tensor("t", TensorProto.INT32, [2], [5, 6])}, np.array([5, 6], np.int32)),
    ],
)
def test_constant_nodes(attributes, expected):
    g = Graph()
    constants, (value,) = read(g, g.node("Constant", **attributes))
    array = constants.array(value)
    assert array is not None
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def test_strings_are_no_arrays():
    g = Graph()
    held = g.node("Constant", value_string="word")
    constants, (value,) = read(g, held)
    assert constants.is_constant(value)
    assert constants.array(value) is None


def test_a_tensor_that_is_not_constant_has_no_array():
    g = Graph()
    constants, (x, y) = read(g, g.input("x", 2), g.node("Neg", "x"))
    assert constants.array(x) is None
    assert constants.array(y) is None
    assert constants.array(None) is None
    assert constants.scalar(x) is None
    assert constants.integers(x) is None


def test_scalars_and_integers():
    g = Graph()
    names = [g.weight([[2.5]]), g.weight([1, 2], np.int64), g.node("Neg", g.weight(3.0))]
    constants, (one, several, computed) = read(g, *names)
    assert (constants.scalar(one), constants.scalar(several), constants.scalar(computed)) == (2.5, None, -3)
    assert constants.integers(several) == [1, 2]


def test_a_reshape_shares_the_array_of_what_it_reshapes():
    g = Graph()
    weight = g.normal(4, 6)
    constants, (value, reshaped) = read(g, weight, g.node("Reshape", weight, g.weight([2, 12], np.int64)))
    array, original = constants.array(reshaped), constants.array(value)
    assert array is not None
    assert original is not None
    assert array.shape == (2, 12)
    assert np.shares_memory(array, original)


def test_what_the_reference_cannot_compute_has_no_array():
    node = helper.make_node("Own", ["w"], ["made"], domain="own")
    add = helper.make_node("Add", ["x", "made"], ["y"])
    proto = model([node, add], {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])}, {"w": np.ones(2, np.float32)})
    proto.opset_import.add(domain="own", version=1)
    loaded = load(proto)
    value = loaded.graph[0].outputs[0]
    value.dtype = ir.DataType.FLOAT
    assert Constants(loaded).is_constant(value)
    assert Constants(loaded).array(value) is None


def test_what_would_be_too_large_is_not_computed(monkeypatch):
    g = Graph()
    constants, (value,) = read(g, g.node("ConstantOfShape", g.weight([3, 4], np.int64)))
    assert constants.array(value) is not None
    monkeypatch.setattr(module, "LARGEST", 11)
    constants, (value,) = read(g, value.name)
    assert constants.is_constant(value)
    assert constants.array(value) is None


def test_why_a_tensor_has_no_array():
    g = Graph()
    names = [g.input("x", 2), g.normal(2), g.node("Neg", "x")]
    constants, (given, default, computed) = read(g, *names, weights_as_inputs=True)
    assert constants.why_not(given) == "is an input"
    assert constants.why_not(default) == "may be overridden by the caller: it is a graph input with a default"
    assert constants.why_not(computed) == "is computed by Neg 'neg_1'"


def test_what_is_made_of_quantized_tensors():
    g = Graph()
    plain = g.normal(2)
    widened = g.node("DequantizeLinear", g.weight([1, 2], np.int8), g.weight(0.5), g.weight(0, np.int8))
    names = [plain, widened, g.node("Mul", plain, widened)]
    constants, values = read(g, *names)
    assert [constants.is_quantized(value) for value in values] == [False, True, True]
    product = constants.array(values[-1])
    assert product is not None
    np.testing.assert_allclose(product, g.weights[plain] * [0.5, 1])
