"""What onnxruntime saves after optimizing a model, checked by itself and against the original."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import normdeploy as nd
from tests.builders import Graph

LEVELS = ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"]


def saved(model, path, level):
    """The file that onnxruntime writes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return path


def convolutions(path):
    """Conv, BatchNorm, Relu, a residual sum, pools, LRN, Gemm, Softmax; of IR version 3."""
    graph = Graph(opset=9, ir_version=3)
    x = graph.input("x", 2, 3, 12, 12)
    x = graph.node("Relu", graph.bn(graph.conv(x, 3, 16, pads=[1] * 4), 16))
    y = graph.bn(graph.conv(x, 16, 16, pads=[1] * 4), 16)
    x = graph.node("Relu", graph.node("Add", x, y))
    x = graph.node("LRN", x, size=5, alpha=1e-2, beta=0.75, bias=1.0)
    x = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node("LeakyRelu", graph.conv(x, 16, 20, kernel=1), alpha=0.1)
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    x = graph.node("Relu", graph.node("Gemm", x, graph.normal(20, 12), graph.normal(12)))
    x = graph.node("Gemm", x, graph.normal(12, 5), graph.normal(5))
    onnx.save(graph.model(graph.node("Softmax", x), weights_as_inputs=True), path)
    return path


def transformer(path):
    """Two matrix products and a softmax, residual sums, LayerNormalizations of opset 13, GELU by erf."""
    graph = Graph(opset=13)
    length, hidden, heads = 6, 16, 2
    x = graph.input("x", 2, length, hidden)

    def dense(x, inputs, outputs):
        return graph.node(
            "Add", graph.node("MatMul", x, graph.normal(inputs, outputs, scale=0.3)), graph.normal(outputs)
        )

    def normalized(x):
        mean = graph.node("ReduceMean", x, axes=[-1])
        centred = graph.node("Sub", x, mean)
        square = graph.node("Pow", centred, graph.weight(2.0))
        variance = graph.node("ReduceMean", square, axes=[-1])
        deviation = graph.node("Sqrt", graph.node("Add", variance, graph.weight(1e-5)))
        scaled = graph.node("Mul", graph.node("Div", centred, deviation), graph.normal(hidden))
        return graph.node("Add", scaled, graph.normal(hidden))

    def split(x, perm):
        shape = graph.weight([2, length, heads, hidden // heads], np.int64)
        return graph.node("Transpose", graph.node("Reshape", x, shape), perm=perm)

    x = normalized(x)
    query, value = (split(dense(x, hidden, hidden), [0, 2, 1, 3]) for _ in range(2))
    key = split(dense(x, hidden, hidden), [0, 2, 3, 1])
    scores = graph.node("Div", graph.node("MatMul", query, key), graph.weight(np.sqrt(8.0)))
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = graph.node("Reshape", mixed, graph.weight([2, length, hidden], np.int64))
    x = normalized(graph.node("Add", x, dense(mixed, hidden, hidden)))
    wide = dense(x, hidden, 32)
    erf = graph.node("Erf", graph.node("Div", wide, graph.weight(np.sqrt(2.0))))
    gelu = graph.node(
        "Mul", graph.node("Mul", wide, graph.node("Add", erf, graph.weight(1.0))), graph.weight(0.5)
    )
    x = normalized(graph.node("Add", x, dense(gelu, 32, hidden)))
    onnx.save(graph.model(x), path)
    return path


def quantized(path, form):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

    graph = Graph(opset=13)
    x = graph.input("x", 2, 3, 10, 10)
    x = graph.node("Relu", graph.conv(x, 3, 8, pads=[1] * 4))
    x = graph.node("Add", x, graph.node("Sigmoid", graph.conv(x, 8, 8, pads=[1] * 4)))
    x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    x = graph.node("Gemm", x, graph.normal(8, 5), graph.normal(5))
    original = path.with_name("float.onnx")
    onnx.save(graph.model(x), original)

    class Reader(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(0)
            self._batches = iter(
                [random.standard_normal((2, 3, 10, 10)).astype(np.float32) for _ in range(4)]
            )

        def get_next(self):
            batch = next(self._batches, None)
            return None if batch is None else {"x": batch}

    if form == "dynamic":
        quantize_dynamic(original, path)
    else:
        quantize_static(original, path, Reader(), quant_format=getattr(QuantFormat, form))
    return path


def operators(path):
    return {node.op_type for node in onnx.load(path).graph.node if node.domain.startswith("com.microsoft")}


def assert_right(file, original):
    for reference in (None, original):
        report = nd.check(file, reference=reference, backends=["onnxruntime"], samples=2)
        (backend,) = report.backends
        assert report.verdict == "pass", (reference, backend.reason)
        assert all(output.comparison.noise_ratio < 1 for output in backend.outputs)


@pytest.mark.parametrize("level", LEVELS)
class TestEveryLevelPasses:
    def test_convolutions(self, tmp_path, level):
        original = convolutions(tmp_path / "x.onnx")
        file = saved(original, tmp_path / "saved.onnx", level)
        assert_right(file, original)
        expected = {LEVELS[0]: set(), LEVELS[1]: {"FusedConv", "FusedGemm"}}.get(
            level, {"Conv", "ReorderOutput"}
        )
        assert expected <= operators(file)

    def test_transformer(self, tmp_path, level):
        original = transformer(tmp_path / "x.onnx")
        file = saved(original, tmp_path / "saved.onnx", level)
        assert_right(file, original)
        if level != LEVELS[0]:
            assert {"FusedMatMul", "Gelu", "SkipLayerNormalization"} <= operators(file)
            assert any(node.op_type == "LayerNormalization" for node in onnx.load(file).graph.node)

    @pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
    def test_quantized(self, tmp_path, level, form):
        original = quantized(tmp_path / "x.onnx", form)
        file = saved(original, tmp_path / "saved.onnx", level)
        assert_right(file, original)
        if form == "QOperator":
            assert {"QLinearAdd", "QLinearSigmoid", "QLinearAveragePool", "QGemm"} <= operators(file)


@pytest.mark.parametrize("level", LEVELS)
def test_a_weight_that_is_wrong_in_the_saved_file_is_found(tmp_path, level):
    original = convolutions(tmp_path / "x.onnx")
    file = saved(original, tmp_path / "saved.onnx", level)
    model = onnx.load(file)
    (filters,) = [item for item in model.graph.initializer if list(item.dims) == [16, 16, 3, 3]]
    wrong = numpy_helper.to_array(filters).copy()
    wrong.flat[::7] *= np.float32(1.001)
    filters.CopyFrom(numpy_helper.from_array(wrong, filters.name))
    onnx.save(model, file)
    assert nd.check(file, reference=original, backends=["onnxruntime"], samples=2).verdict == "mismatch"
    assert nd.check(file, backends=["onnxruntime"], samples=2).verdict == "pass"
