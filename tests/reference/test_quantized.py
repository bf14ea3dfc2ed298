"""8-bit kernels against onnxruntime's: the same integers, but for a few at the middle between two."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from normdeploy.errors import UnsupportedOperator
from normdeploy.reference import Evaluator, evaluate
from normdeploy.validation.judge import Judge
from tests.reference.against_onnxruntime import assert_as_onnxruntime, in_onnxruntime, single_node

SEEDS = range(4)
TYPES = [np.uint8, np.int8]
ELEMENT = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}


class Draw:
    """Random tensors and their parameters."""

    def __init__(self, seed, dtype):
        self.random = np.random.default_rng(seed)
        self.dtype = dtype
        self.element = (ELEMENT[dtype],)

    def integers(self, *shape, dtype=None, reach=128):
        middle = 128 if (dtype or self.dtype) is np.uint8 else 0
        values = self.random.integers(-reach, reach, shape) + middle
        return np.asarray(values, dtype or self.dtype)

    def scale(self, *shape, low=0.01, high=0.05):
        return np.asarray(self.random.uniform(low, high, shape), np.float32)

    def zero(self, *shape, dtype=None):
        return self.integers(*shape, dtype=dtype, reach=20)

    def triple(self, *shape):
        return [self.integers(*shape), self.scale(), self.zero()]

    def result(self, scale):
        return [np.asarray(scale, np.float32), self.zero()]


@pytest.mark.parametrize("element", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("per_channel", [False, True])
def test_to_integers_and_back(element, per_channel):
    """16-bit integers came to ONNX in opset 21, and are in onnxruntime's domain before."""
    random = np.random.default_rng(0)
    shape = (3,) if per_channel else ()
    scale = np.asarray(random.uniform(0.001, 0.01, shape), np.float32)
    zero = np.asarray(random.integers(3, 9, shape), element)
    x = random.standard_normal((2, 3, 5)).astype(np.float32)
    kind = int(helper.np_dtype_to_tensor_dtype(np.dtype(element)))
    axis = {"axis": 1} if per_channel else {}
    assert_as_onnxruntime("QuantizeLinear", [x, scale, zero], (kind,), ties=1, **axis)
    info = np.iinfo(element)
    q = random.integers(info.min, info.max, (2, 3, 5)).astype(element)
    assert_as_onnxruntime("DequantizeLinear", [q, scale, zero], **axis)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_convolution(seed, dtype, domain, per_channel):
    draw = Draw(seed, dtype)
    group = int(draw.random.choice([1, 2]))
    to = 2 * group
    channels_last = int(draw.random.integers(0, 2)) if domain else 0
    x = draw.integers(2, 3 * group, 6, 5)
    x = np.moveaxis(x, 1, -1) if channels_last else x
    scales = draw.scale(to) if per_channel else draw.scale()
    zeros = np.zeros(to if per_channel else (), np.int8)
    w = draw.integers(to, 3, 3, 2, dtype=np.int8, reach=60)
    bias = draw.random.integers(-2000, 2000, to).astype(np.int32)
    inputs = [np.ascontiguousarray(x), draw.scale(), draw.zero(), w, scales, zeros, *draw.result(0.2), bias]
    attributes = {"group": group, "kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]}
    if domain:
        attributes |= {"channels_last": channels_last}
    assert_as_onnxruntime("QLinearConv", inputs, draw.element, domain=domain, ties=2, **attributes)
    assert_as_onnxruntime("QLinearConv", inputs[:8], draw.element, domain=domain, ties=2, **attributes)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("per_column", [False, True])
def test_matrix_products(seed, dtype, per_column):
    draw = Draw(seed, dtype)
    m, n, k = (int(size) for size in draw.random.integers(2, 9, 3))
    shape = (n,) if per_column else ()
    b = [draw.integers(k, n, dtype=np.int8, reach=60), draw.scale(*shape), np.zeros(shape, np.int8)]
    a = draw.triple(m, k)
    assert_as_onnxruntime("QLinearMatMul", [*a, *b, *draw.result(0.3)], draw.element, domain="", ties=2)
    transposed = [np.ascontiguousarray(b[0].T), *b[1:]]
    bias = draw.random.integers(-2000, 2000, n).astype(np.int32)
    for alpha, c in ((1.0, None), (0.5, bias)):
        assert_as_onnxruntime("QGemm", [*a, *b, c, *draw.result(0.3)], draw.element, ties=2, alpha=alpha)
        assert_as_onnxruntime("QGemm", [*a, *transposed, c], alpha=alpha, transB=1)
    added = draw.random.standard_normal(n).astype(np.float32)
    batch = [draw.integers(2, m, k), b[0], draw.scale(), b[1], draw.zero()]
    for zero, addend in ((None, None), (b[2], None), (b[2], added)):
        assert_as_onnxruntime("MatMulIntegerToFloat", [*batch, zero, addend])
        x = draw.random.standard_normal((2, m, k)).astype(np.float32)
        assert_as_onnxruntime("DynamicQuantizeMatMul", [x, b[0], b[1], zero, addend])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
def test_elementwise(seed, dtype):
    draw = Draw(seed, dtype)
    a, b = draw.triple(2, 3, 4, 5), draw.triple(1, 3, 1, 5)
    for op_type, scale in (("QLinearAdd", 0.06), ("QLinearMul", 0.1)):
        assert_as_onnxruntime(op_type, [*a, *b, *draw.result(scale)], draw.element, ties=3)
        assert_as_onnxruntime(op_type, [*a, *b, np.asarray(scale, np.float32)], draw.element, ties=3)
    condition = draw.random.random((2, 3, 4, 1)) < 0.5
    assert_as_onnxruntime("QLinearWhere", [condition, *a, *b, *draw.result(0.06)], draw.element, ties=3)
    for op_type, scale, keywords in (
        ("QLinearSigmoid", 1 / 256, {}),
        ("QLinearLeakyRelu", 0.05, {"alpha": 0.2}),
        ("QLinearLeakyRelu", 0.05, {}),
    ):
        assert_as_onnxruntime(op_type, [*a, *draw.result(scale)], draw.element, ties=3, **keywords)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
def test_concatenation(seed, dtype):
    draw = Draw(seed, dtype)
    parts = [draw.triple(2, channels, 4) for channels in (1, 3, 2)]
    inputs = [*draw.result(0.06), *(item for part in parts for item in part)]
    assert_as_onnxruntime("QLinearConcat", inputs, draw.element, ties=2, axis=1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("axis", "opset"), [(-1, 13), (1, 13), (1, 11), (2, 11)])
def test_softmax(seed, dtype, axis, opset):
    """Where 1 / scale is whole: onnxruntime's kernel cuts it to a whole number."""
    draw = Draw(seed, dtype)
    zero = np.asarray(0 if dtype is np.uint8 else -128, dtype)
    inputs = [*draw.triple(2, 3, 4), np.float32(1 / 256), zero]
    assert_as_onnxruntime(
        "QLinearSoftmax", [np.asarray(x) for x in inputs], draw.element, ties=2, axis=axis, opset=opset
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_pools(seed, dtype, channels_last):
    draw = Draw(seed, dtype)
    x = draw.triple(2, 5, 6, 3) if channels_last else draw.triple(2, 3, 5, 6)
    inputs = [*x, *draw.result(0.031)]
    assert_as_onnxruntime(
        "QLinearGlobalAveragePool", inputs, draw.element, ties=1, channels_last=channels_last
    )
    for include in (0, 1):
        assert_as_onnxruntime(
            "QLinearAveragePool",
            inputs,
            draw.element,
            ties=3,
            channels_last=channels_last,
            count_include_pad=include,
            kernel_shape=[3, 2],
            pads=[1, 0, 1, 1],
            strides=[2, 1],
        )


def test_a_result_of_unknown_type_is_refused():
    x = np.zeros((1,), np.uint8)
    model, feeds = single_node("QLinearSigmoid", [x, np.float32(1), None, np.float32(1)], (2,), rank=1)
    model.graph.input[0].type.Clear()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.input[0].type.tensor_type.shape.dim.add()
    assert evaluate(model, feeds)["y0"].dtype == np.uint8
    chained = model.graph.node.add()
    chained.CopyFrom(model.graph.node[0])
    model.graph.node[0].output[0] = "between"
    model.graph.node[0].name = "first"
    chained.input[0] = "between"
    with pytest.raises(UnsupportedOperator, match=r"node 'node' .*a result of unknown type"):
        evaluate(model, feeds)


@pytest.mark.parametrize("seed", SEEDS)
def test_means_at_the_middle_between_two_integers_may_go_either_way(seed):
    """Of two numbers of the scale of the result, half are: rounding in the kernel decides over hundreds."""
    random = np.random.default_rng(seed)
    draw = Draw(seed, np.uint8)
    scale = draw.scale()
    inputs = [random.integers(0, 256, (2, 4, 40, 40)).astype(np.uint8), scale, np.array(128, np.uint8)]
    inputs += [scale, np.array(120, np.uint8)]
    model, feeds = single_node("QLinearAveragePool", inputs, draw.element, rank=4, kernel_shape=[2, 1])
    evaluator = Evaluator(model)
    case = Judge(evaluator, evaluator).on(feeds)
    actual = in_onnxruntime(model, feeds)["y0"]
    found = case.compare("y0", actual)
    assert found.wrong == 0
    assert found.ties > 20
    assert case.compare("y0", actual + np.uint8(1)).wrong > actual.size // 3  # all that are no ties
