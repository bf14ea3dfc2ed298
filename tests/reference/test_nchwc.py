"""Blocked layouts: each operator, in graphs that onnxruntime makes of plain ones on this processor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from normdeploy.reference import evaluate, nchwc
from tests.builders import Graph
from tests.reference.against_onnxruntime import in_onnxruntime, single_node

SEEDS = range(6)


def optimized(model, path):
    """What onnxruntime saves after all of its optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def blocked(model):
    return {node.op_type for node in model.graph.node if node.domain == nchwc.DOMAIN}


def assert_same(model, path, x):
    """The optimized file in the reference, the plain model in the reference and onnxruntime agree."""
    saved = optimized(model, path)
    expected = evaluate(model, {"x": x})
    for actual in (evaluate(saved, {"x": x}), in_onnxruntime(saved, {"x": x})):
        for name, right in expected.items():
            np.testing.assert_allclose(actual[name], right, rtol=0, atol=2e-5 * np.abs(right).max())
    return blocked(saved)


def input_of(graph, *dims, seed=0):
    graph.input("x", *dims)
    return np.random.default_rng(seed).standard_normal(dims).astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolutions_of_every_kind(seed, tmp_path):
    """From few channels, between blocks, of channels that fill no block, of groups, of single channels."""
    random = np.random.default_rng(seed)
    block = nchwc.block_size()
    graph = Graph(seed=seed)
    x = input_of(graph, 2, int(random.integers(1, 5)), 9, 8, seed=seed)
    y = graph.conv("x", x.shape[1], 2 * block, pads=[1] * 4)
    y = graph.node("Relu", y)
    y = graph.conv(y, 2 * block, 3 * block, kernel=1)
    y = graph.conv(y, 3 * block, 3 * block, group=3 * block, pads=[1] * 4)
    y = graph.node("LeakyRelu", y, alpha=0.1)
    y = graph.conv(y, 3 * block, 2 * block, group=1, bias=False)
    y = graph.node("HardSwish", y) if graph.opset >= 14 else y
    y = graph.conv(y, 2 * block, 2 * block, group=2, pads=[1] * 4, strides=[2, 1])
    y = graph.conv(y, 2 * block, block + 3, kernel=2)
    assert "Conv" in assert_same(graph.model(y), tmp_path / "saved.onnx", x)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_pools_and_concatenations(seed, tmp_path):
    random = np.random.default_rng(seed)
    block = nchwc.block_size()
    graph = Graph(seed=seed)
    x = input_of(graph, 2, 3, 12, 12, seed=seed)
    first = graph.node("Relu", graph.conv("x", 3, block, pads=[1] * 4))
    second = graph.conv(first, block, block, pads=[1] * 4)
    total = graph.node("Relu", graph.node("Add", second, first))
    normalized = graph.bn(total, block)
    joined = graph.node("Concat", normalized, total, axis=1)
    stride = int(random.integers(1, 3))
    pooled = graph.node("MaxPool", joined, kernel_shape=[3, 2], strides=[stride, 2], pads=[1, 0, 1, 1])
    include = int(random.integers(0, 2))
    averaged = graph.node(
        "AveragePool", pooled, kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=include
    )
    last = graph.conv(averaged, 2 * block, 2 * block, kernel=1)
    outputs = [last, graph.node("GlobalAveragePool", last), graph.node("GlobalMaxPool", last)]
    kinds = assert_same(graph.model(*outputs), tmp_path / "saved.onnx", x)
    assert {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"} <= kinds


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsampling(mode, tmp_path):
    block = nchwc.block_size()
    graph = Graph(seed=1)
    x = input_of(graph, 1, 3, 5, 6)
    y = graph.conv("x", 3, block)
    scales = graph.weight([1, 1, 2, 3], np.float32)
    coordinates = "asymmetric" if mode == "nearest" else "half_pixel"
    y = graph.node(
        "Resize",
        y,
        "",
        scales,
        mode=mode,
        nearest_mode="floor",
        coordinate_transformation_mode=coordinates,
    )
    y = graph.conv(y, block, block, kernel=1)
    assert "Upsample" in assert_same(graph.model(y), tmp_path / "saved.onnx", x)


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("channels", [4, 8, 20, 32])
def test_reordering(channels, channels_last):
    """Into blocks and out of them, each as onnxruntime does."""
    random = np.random.default_rng(channels)
    shape = (2, 5, 3, channels) if channels_last else (2, channels, 5, 3)
    x = random.standard_normal(shape).astype(np.float32)
    model, feeds = single_node("ReorderInput", [x], rank=4, domain=nchwc.DOMAIN, channels_last=channels_last)
    blocks = evaluate(model, feeds)["y0"]
    np.testing.assert_array_equal(blocks.astype(np.float32), in_onnxruntime(model, feeds)["y0"])
    back, feeds = single_node(
        "ReorderOutput",
        [blocks.astype(np.float32)],
        rank=4,
        domain=nchwc.DOMAIN,
        channels=channels,
        channels_last=channels_last,
    )
    for result in (evaluate(back, feeds), in_onnxruntime(back, feeds)):
        np.testing.assert_array_equal(result["y0"].astype(np.float32), x)


def test_channels_that_are_in_no_blocks_are_refused():
    x = np.zeros((1, 5, 2, 2), np.float32)
    with pytest.raises(ValueError, match="reshape"):
        nchwc.reorder_output(x)


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "avx avx2 avx512f", 16),
        ("x86_64", "avx avx2", 8),
        ("aarch64", None, 16),
        ("AMD64", None, 8),
    ],
)
def test_the_block_is_the_processors(monkeypatch, tmp_path, machine, flags, expected):
    monkeypatch.setattr(nchwc.platform, "machine", lambda: machine)
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor : 0\nflags : fpu {flags}\n")
    monkeypatch.setattr(nchwc, "_CPU_INFO", path)
    nchwc.block_size.cache_clear()
    try:
        assert nchwc.block_size() == expected
    finally:
        nchwc.block_size.cache_clear()
