"""What counts as a layer, and errors in its channels."""

import numpy as np
import onnx
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.validation.power.layers import Layer, layers_of, outputs_behind
from tests.builders import Graph, conv_lrn, parsed, unary


def found(proto: onnx.ModelProto) -> list[str]:
    return [layer.op_type for layer in layers_of(inferred(proto))]


def test_nodes_with_weights_and_normalizations_are_layers():
    g = Graph()
    x = g.input("x", "N", 3, 6, 6)
    x = g.node("Relu", g.bn(g.conv(x, 3, 4), 4))
    x = g.node("MaxPool", g.node("LRN", x, size=3), kernel_shape=[2, 2])
    x = g.node("Mul", g.node("Flatten", x), g.weight(0.5))
    y = g.node("Softmax", g.node("Gemm", x, g.normal(36, 5), g.normal(5)), axis=1)
    assert found(g.model(y)) == ["Conv", "BatchNormalization", "LRN", "Mul", "Gemm"]


def test_looked_up_rows_calls_branches_and_loops_are_layers():
    graph = """g (int64[N] ids, bool c) => (float[N, 2] y) {
        table = Constant <value = float[3, 2] {1, 2, 3, 4, 5, 6}> ()
        e = Gather (table, ids)
        f = local.Twice (e)
        y = If (c) <
            then_branch = t () => (float[N, 2] p) { p = Neg (f) },
            else_branch = e () => (float[N, 2] q) { q = Abs (f) }
        >
    }"""
    body = '<domain: "local", opset_import: ["": 21]> Twice (a) => (b) { b = Add (a, a) }'
    assert found(parsed(graph, body)) == ["Gather", "Twice", "If"]


def test_what_is_the_same_for_all_inputs_is_no_layer():
    graph = """g (float[N, 2] x) => (float[N, 2] y, int64[1] z) {
        w = Constant <value = float[2, 2] {1, 2, 3, 4}> ()
        one = Constant <value_float = 1.0> ()
        shifted = Add (w, one)
        y = MatMul (x, shifted)
        s = Shape (x)
        first = Constant <value_ints = [0]> ()
        z = Gather (s, first)
    }"""
    assert found(parsed(graph)) == ["MatMul"]


def test_where_an_output_has_no_layer_before_it_all_nodes_on_the_way_count():
    assert found(unary("Sqrt", ["N", 4])) == ["Sqrt"]
    graph = """g (float[N, 2] x) => (float[N, 2] y, float[N, 2] z) {
        w = Constant <value = float[2, 2] {1, 2, 3, 4}> ()
        p = MatMul (x, w)
        y = Abs (p)
        r = Relu (x)
        z = Sqrt (r)
    }"""
    model = inferred(parsed(graph))
    layers = layers_of(model)
    assert [layer.op_type for layer in layers] == ["MatMul", "Relu", "Sqrt"]
    assert outputs_behind(model, layers[:1]) == {"y"}
    assert outputs_behind(model, layers) == {"y", "z"}


def test_integers_alone_have_no_layers():
    graph = "g (int64[N] x) => (int64[N] y) { y = Add (x, x) }"
    assert found(parsed(graph)) == []


@pytest.mark.parametrize(
    ("op_type", "shape", "axis"),
    [
        ("Conv", (2, 5, 3), 1),
        ("Gemm", (2, 5), 1),
        ("Add", (2, 5, 3, 3), 1),
        ("MatMul", (2, 3, 5), 2),
        ("LSTM", (4, 1, 2, 5), 3),
        ("Add", (5,), 0),
        ("Add", (), None),
    ],
)
def test_a_channel_has_one_error(op_type, shape, axis):
    layer = Layer(3, "layer", op_type, ("y",))
    right = np.full(shape, 2.0)
    wrong = layer.with_error(right, 0.25, [7])
    assert wrong.shape == shape
    assert set(np.unique(wrong)) <= {1.5, 2.5}
    if axis is not None:
        along = np.moveaxis(wrong, axis, 0).reshape(5, -1)
        assert np.all(along == along[:, :1])
    np.testing.assert_array_equal(layer.with_error(right, 0.25, [7]), wrong)
    signs = [layer.with_error(right, 0.25, [seed]).tobytes() for seed in range(20)]
    assert len(set(signs)) > 1


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (5,), ()])
def test_an_element_may_have_its_own_error(shape):
    layer = Layer(3, "layer", "Conv", ("y",), per_element=True)
    wrong = layer.with_error(np.full(shape, 2.0), 0.25, [7])
    assert wrong.shape == shape
    assert set(np.unique(wrong)) == {1.5, 2.5} or not shape


def test_integers_of_a_layer_stay():
    array = np.arange(3)
    assert Layer(0, "layer", "Loop", ("y",)).with_error(array, 0.5, [0]) is array


def test_names():
    first, second = layers_of(inferred(conv_lrn()))
    assert (first.name, first.position, first.outputs) == ("conv", 0, ("c",))
    assert (second.name, second.position, second.outputs) == ("lrn", 1, ("y",))
