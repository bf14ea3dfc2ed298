"""Small models at random, for the invariants: layers of many kinds, types, open and fixed sizes, rows that
depend on each other and rows that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tests.builders import Graph

Arrays = dict[str, NDArray[Any]]
DTYPES = (np.float32, np.float32, np.float16, np.float64)


@dataclass(frozen=True)
class RandomModel:
    """A model, and inputs of three samples that fit it."""

    kind: str
    model: onnx.ModelProto
    samples: list[Arrays]


def random_model(seed: int) -> RandomModel:
    """One of the kinds below, in turn, with a type, sizes and parameters that depend on the seed."""
    rng = np.random.default_rng([7, seed])
    kind = KINDS[seed % len(KINDS)]
    dtype = DTYPES[rng.integers(len(DTYPES))]
    graph = Graph(dtype, opset=17, seed=seed)
    model, samples = kind(graph, rng)
    return RandomModel(kind.__name__, model, samples)


def drawn(rng: np.random.Generator, dtype: Any, *shape: int) -> list[NDArray[Any]]:
    """Three arrays of standard deviations 1, 4 and 16."""
    return [(rng.standard_normal(shape) * 4**index).astype(dtype) for index in range(3)]


def convolutions(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Layers of a convolutional network, with an open or a fixed batch and open or fixed height and width."""
    if g.dtype == np.float64:  # onnxruntime has no such convolution
        g.dtype = g.stat_dtype = np.dtype(np.float32)
    batch: int | str = ["N", "N", 1, 2, 4][rng.integers(5)]
    open_image = bool(rng.integers(2))
    height, width = (int(size) for size in rng.integers(6, 12, 2))
    x = g.input("x", batch, 3, *(("H", "W") if open_image else (height, width)))
    channels = 3
    for _ in range(rng.integers(2, 6)):
        match rng.integers(9):
            case 0 | 1:
                out = int(rng.choice([4, 6, 8]))
                x, channels = g.conv(x, channels, out, pads=[1] * 4), out
            case 2:
                x = g.conv(x, channels, channels * 2, group=channels, pads=[1] * 4)
                channels *= 2
            case 3 if g.dtype == np.float32:
                x = g.bn(x, channels)
            case 4 if g.dtype == np.float32:
                x = g.node("LRN", x, size=3, alpha=0.1, beta=0.75, bias=1.0)
            case 5:
                x = g.node("Relu", x)
            case 6:
                x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[1, 1])
            case 7:
                x = g.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4)
            case _:
                x = g.node(str(rng.choice(["Tanh", "Sigmoid", "Softplus"])), x)
    outputs = [x]
    if rng.integers(2):
        flat = g.node("Flatten", g.node("GlobalAveragePool", x))
        flat = g.node("Gemm", flat, g.normal(5, channels), g.normal(5), transB=1)
        outputs = [g.node("Softmax", flat, axis=1) if rng.integers(2) else flat]
        if rng.integers(2):
            outputs.append(x)
        if rng.integers(3) == 0:
            outputs.append(g.node("ArgMax", flat, axis=1, keepdims=0))
    rows = batch if isinstance(batch, int) else 1
    arrays = drawn(rng, g.dtype, rows, 3, height, width)
    return typed(g, *outputs), [{"x": array} for array in arrays]


def batch_statistics(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Normalization by the statistics of the batch."""
    x = g.input("x", "N", 6)
    x = g.node("MatMul", x, g.normal(6, 8))
    mean = g.node("ReduceMean", x, axes=[0])
    centred = g.node("Sub", x, mean)
    variance = g.node("ReduceMean", g.node("Mul", centred, centred), axes=[0])
    scale = g.node("Sqrt", g.node("Add", variance, g.weight(1e-2)))
    outputs = [g.node("Div", centred, scale)]
    if rng.integers(2):
        outputs.append(g.node("Tanh", x))
    if rng.integers(2):
        outputs.append(g.node("ReduceMean", x, keepdims=0))
    return typed(g, *outputs), [{"x": array} for array in drawn(rng, g.dtype, int(rng.integers(1, 4)), 6)]


def across_the_batch(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """A softmax over the rows, a sum that runs along them, or the products of all pairs."""
    x = g.input("x", "N", 5)
    h = g.node("MatMul", x, g.normal(5, 5))
    match rng.integers(4):
        case 0:
            y = g.node("Softmax", h, axis=0)
        case 1 if g.dtype != np.float16:
            y = g.node("CumSum", h, g.weight(0, np.int64))
        case 2:
            y = g.node("MatMul", h, g.node("Transpose", h, perm=[1, 0]))
        case _:
            y = g.node("Sub", h, g.node("Gather", h, g.weight([0], np.int64), axis=0))
    return typed(g, y), [{"x": array} for array in drawn(rng, g.dtype, 2, 5)]


def folded_batch(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """A reshape that folds the batch into another axis, for good or for a while."""
    x = g.input("x", "N", 4, 6)
    y = g.node("Reshape", x, g.weight([-1, 6], np.int64))
    y = g.node("MatMul", y, g.normal(6, 3))
    match rng.integers(3):
        case 0:
            y = g.node("Reshape", y, g.weight([-1, 4, 3], np.int64))
        case 1:
            y = g.node("Reshape", y, g.weight([1, -1], np.int64))
    return typed(g, y), [{"x": array} for array in drawn(rng, g.dtype, 1, 4, 6)]


def sequences(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """An LSTM whose batch is the second axis."""
    g.dtype = np.dtype(np.float32)
    x = g.input("x", "T", "N", 4)
    weights = [g.normal(1, 12, 4, scale=0.5), g.normal(1, 12, 3, scale=0.5), g.normal(1, 24, scale=0.5)]
    y = g.node("LSTM", x, *weights, outputs=2, hidden_size=3)
    return typed(g, y, y + "1"), [{"x": array} for array in drawn(rng, g.dtype, 5, 1, 4)]


def integers(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Token ids through an embedding, or 8-bit pixels through integer arithmetic."""
    if rng.integers(2):
        ids = g.input("ids", "N", "T", element=onnx.TensorProto.INT64)
        y = g.node("Gather", g.normal(12, 6), ids)
        if g.dtype == np.float32:
            y = g.node("LayerNormalization", y, g.normal(6), g.normal(6))
        outputs = [g.node("ReduceMean", y, axes=[1])]
        samples = [{"ids": rng.integers(0, 12, (1, 5))} for _ in range(3)]
    else:
        pixels = g.input("pixels", "N", 3, 4, element=onnx.TensorProto.UINT8)
        wide = g.node("Cast", pixels, to=onnx.TensorProto.INT32)
        total = g.node("ReduceSum", wide, g.weight([2], np.int64))
        outputs = [total, g.node("ArgMax", wide, axis=2, keepdims=0)]
        samples = [{"pixels": rng.integers(0, 256, (1, 3, 4)).astype(np.uint8)} for _ in range(3)]
    return typed(g, *outputs), samples


def attention(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Self-attention with an open length, and a mask that is the same for all rows."""
    x = g.input("x", "N", "T", 6)
    mask = g.input("mask", 1, 6)
    q, k, v = (g.node("MatMul", x, g.normal(6, 6, scale=0.4)) for _ in range(3))
    scores = g.node("MatMul", q, g.node("Transpose", k, perm=[0, 2, 1]))
    y = g.node("MatMul", g.node("Softmax", scores, axis=-1), v)
    y = g.node("Mul", y, mask)
    arrays = drawn(rng, g.dtype, 1, int(rng.integers(2, 7)), 6)
    held = drawn(rng, g.dtype, 1, 6)[0]
    return typed(g, y), [{"x": array, "mask": held} for array in arrays]


def data_dependent(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Outputs whose shape depends on the data, steps, and values that rounding may tip over."""
    x = g.input("x", "N", 8)
    h = g.node("MatMul", x, g.normal(8, 8))
    outputs = [g.node("NonZero", g.node("Greater", h, g.weight(0)))] if rng.integers(2) else []
    outputs.append(g.node("TopK", h, g.weight([3], np.int64), outputs=2, axis=1))
    outputs.append(outputs[-1] + "1")
    if rng.integers(2):
        outputs.append(g.node("Round", h))
    return typed(g, *outputs), [{"x": array} for array in drawn(rng, g.dtype, 1, 8)]


def quantized(g: Graph, rng: np.random.Generator) -> tuple[onnx.ModelProto, list[Arrays]]:
    """Scales that are stored, or those of the whole batch (DynamicQuantizeLinear)."""
    g.dtype = np.dtype(np.float32)
    x = g.input("x", "N", 3, 6, 6)
    if rng.integers(2):
        scale, zero = g.weight(0.1), g.weight(3, np.uint8)
        q = g.node("QuantizeLinear", g.conv(x, 3, 4, pads=[1] * 4), scale, zero)
        y = g.node("DequantizeLinear", q, scale, zero)
    else:
        q = g.node("DynamicQuantizeLinear", x, outputs=3)
        y = g.node("DequantizeLinear", q, q + "1", q + "2")
    return typed(g, y), [{"x": array} for array in drawn(rng, g.dtype, 1, 3, 6, 6)]


KINDS: tuple[Callable[[Graph, np.random.Generator], tuple[onnx.ModelProto, list[Arrays]]], ...] = (
    convolutions, convolutions, convolutions, batch_statistics, across_the_batch, folded_batch, sequences,
    integers, attention, data_dependent, quantized,
)  # fmt: skip


def typed(g: Graph, *outputs: str) -> onnx.ModelProto:
    """The model, with the outputs' inferred types."""
    model = g.model(*outputs)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for value in bare.graph.output:
        value.ClearField("type")
    inferred = onnx.shape_inference.infer_shapes(bare).graph.output
    for value, known in zip(model.graph.output, inferred, strict=True):
        value.CopyFrom(known)
    return model
