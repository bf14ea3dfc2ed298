"""Small valid models of every kind of message that ONNX has: what the mutator starts from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.builders import FLOAT, Graph, classifier, conv_lrn, model, parsed, unary

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "digits.onnx"
DATA_FILE = "weights.bin"
"""The file beside a mutant to which the seed with external data refers."""

DATA = np.linspace(-1, 1, 216, dtype=np.float32).tobytes()
"""What it holds: the weights of a convolution from 3 channels to 8, 3 by 3."""

_LRN_BY_POOLING = """
lrn (float[N, 4, 5, 5] x) => (float[N, 4, 5, 5] y)
<int64[2] axes = {1, 2}, float alpha = {0.1}, float bias = {2.0}, float beta = {0.75}, int64[1] one = {1}>
{
    square = Mul (x, x)
    volume = Unsqueeze (square, one)
    sums = AveragePool <kernel_shape = [3, 1, 1], pads = [1, 0, 0, 1, 0, 0], count_include_pad = 1> (volume)
    planes = Squeeze (sums, one)
    scaled = Mul (planes, alpha)
    base = Add (scaled, bias)
    denominator = Pow (base, beta)
    y = Div (x, denominator)
}
"""
_FUNCTIONS = """
calls (float[N, 4, 6, 6] x, bool flag) => (float[N, 4, 6, 6] y, float[N, 4, 6, 6] z)
{
    a = normdeploy.IntraChannelLRN <size = 3, alpha = 0.5, beta = 0.75, bias = 1.0> (x)
    b = local.Scaled <factor = 2.0> (a)
    y = Add (a, b)
    z = If (flag) <
        then_branch = first () => (float[N, 4, 6, 6] p) { p = LRN <size = 3> (b) },
        else_branch = second () => (float[N, 4, 6, 6] q) { q = Abs (b) }
    >
}
"""
_BODIES = """
<domain: "local", opset_import: ["" : 21]>
Scaled <factor: float = 1.5> (X) => (Y)
{
    c = Constant <value_float: float = @factor> ()
    Y = Mul (X, c)
}
<domain: "normdeploy", opset_import: ["" : 21]>
IntraChannelLRN <size, alpha, beta, bias> (X) => (Y)
{
    s = Constant <value_int: int = @size> ()
    a = Constant <value_float: float = @alpha> ()
    f = Cast <to = 1> (s)
    g = Mul (f, a)
    square = Mul (X, X)
    h = Mul (square, g)
    Y = Div (X, h)
}
"""
_LOOP = """
loops (float[2, 3] x, int64 trips) => (float[2, 3] y, float[K, 2, 3] all)
{
    go = Constant <value_int = 1> ()
    more = Cast <to = 9> (go)
    y, all = Loop (trips, more, x) <
        body = turn (int64 i, bool c, float[2, 3] state) => (bool d, float[2, 3] next, float[2, 3] seen)
        { d = Identity (c) next = Relu (state) seen = Neg (next) }
    >
}
"""
_KINDS = """
kinds (float[2, 3, 4] x, int64[2] k) => (int64[2] i, float[6, 4] r, float[2, 3, 4] w)
<int64[2] shape = {6, 4}, float one = {1.0}, uint8 zero = {0}>
{
    i = Add (k, k)
    r = Reshape (x, shape)
    q = QuantizeLinear (x, one, zero)
    d = DequantizeLinear (q, one, zero)
    pads = Constant <value_ints = [0, 0, 0, 0, 0, 0]> ()
    p = Pad <mode = "constant"> (d, pads)
    soft = Softmax <axis = -1> (p)
    u, v = Split <axis = 0, num_outputs = 2> (soft)
    w = Concat <axis = 0> (u, v)
}
"""
_STRINGS = """
strings (string[2] s, float[2] x) => (string[2] t, float[2] y) { t = Identity (s) y = Relu (x) }
"""


def _batchnorm() -> onnx.ModelProto:
    graph = Graph()
    x = graph.input("x", "N", 3, 6, 6)
    y = graph.bn(graph.conv(x, 3, 4, pads=[1, 1, 1, 1]), 4)
    pooled = graph.node("MaxPool", graph.node("Relu", y), kernel_shape=[2, 2], strides=[2, 2])
    flat = graph.node("Flatten", pooled)
    return graph.model(graph.bn(graph.node("Gemm", flat, graph.normal(36, 5), graph.normal(5)), 5))


def _more_layers() -> onnx.ModelProto:
    graph = Graph(seed=1)
    x = graph.input("x", 1, 4, 8, 8)
    left = graph.bn(graph.conv(x, 4, 4, pads=[1, 1, 1, 1], group=2), 4)
    right = graph.bn(graph.node("LRN", x, size=3, alpha=0.1), 4)
    both = graph.node("Concat", left, right, axis=1)
    grown = graph.node("ConvTranspose", both, graph.normal(8, 2, 2, 2), strides=[2, 2])
    mean = graph.node("GlobalAveragePool", graph.bn(grown, 2))
    return graph.model(graph.node("Clip", mean))


def _sparse() -> onnx.ModelProto:
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Mul", ["a", "c"], ["y"])],
        {"x": (FLOAT, ["N", 2, 3])},
        {"y": (FLOAT, ["N", 2, 3])},
    )
    values = numpy_helper.from_array(np.array([1.5, -2], np.float32), "w")
    pairs = numpy_helper.from_array(np.array([[0, 1], [1, 2]], np.int64), "places")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, pairs, [2, 3]))
    inner = numpy_helper.from_array(np.array([3], np.float32))
    linear = numpy_helper.from_array(np.array([4], np.int64))
    sparse = helper.make_sparse_tensor(inner, linear, [2, 3])
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    return proto


def _external() -> onnx.ModelProto:
    proto = conv_lrn()
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": DATA_FILE, "offset": "0", "length": str(len(DATA))}.items():
        tensor.external_data.add(key=key, value=value)
    return proto


def _described() -> onnx.ModelProto:
    """With the messages that nothing computes: texts, metadata, quantization, value information."""
    proto = unary("Relu", ["N", 2])
    proto.doc_string, proto.producer_name, proto.domain = "about", "a tool", "example"
    proto.metadata_props.add(key="author", value="someone")
    proto.graph.doc_string = "the graph"
    proto.graph.value_info.append(helper.make_tensor_value_info("y", FLOAT, ["N", 2]))
    annotation = proto.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="y")
    proto.graph.node[0].doc_string = "a node"
    return proto


@functools.cache
def seeds() -> Mapping[str, onnx.ModelProto]:
    """The models by name; none may be changed."""
    found = {
        "conv_lrn": conv_lrn(),
        "conv_lrn_double": conv_lrn(dtype=np.float64, batch=2, size=4),
        "classifier": classifier(),
        "cast": unary("Cast", [2, 2], to=TensorProto.FLOAT16),
        "transpose": unary("Transpose", [2, 3], output_dims=[3, 2], perm=[1, 0]),
        "reduce": unary("ReduceMean", [2, 3], output_dims=[2, 1], axes=[1]),
        "batchnorm": _batchnorm(),
        "more_layers": _more_layers(),
        "sparse": _sparse(),
        "external": _external(),
        "described": _described(),
        "lrn_by_pooling": parsed(_LRN_BY_POOLING),
        "functions": parsed(_FUNCTIONS, _BODIES),
        "loop": parsed(_LOOP),
        "kinds": parsed(_KINDS),
        "strings": parsed(_STRINGS),
        "digits": onnx.load(DIGITS),
    }
    for name, proto in found.items():
        if name != "external":
            onnx.checker.check_model(proto)
    return found
