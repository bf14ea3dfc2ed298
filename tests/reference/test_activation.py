"""The Softmax family: older opsets against torch in float64, and the small defects that it lets through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator, activation
from normdeploy.validation.judge import Judge
from tests.builders import Graph
from tests.reference.against_onnxruntime import in_onnxruntime
from tests.reference.against_torch import assert_close


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_softmax_below_opset_13_takes_the_rest_of_the_axes_together(axis):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    rows = torch.tensor(x).flatten(axis % 4) if axis % 4 else torch.tensor(x).reshape(1, -1)
    rows = rows.flatten(0, -2) if rows.ndim > 2 else rows
    for function, expected in [
        (activation.softmax_of_rows, rows.softmax(-1)),
        (activation.log_softmax_of_rows, rows.log_softmax(-1)),
    ]:
        assert_close(function(x, axis=axis), expected.reshape(x.shape))


CLASSES = 1000


def network(logits, beta=0.75, factor=1.0):
    """Convolutions with an LRN between, a mean over positions, a thousand small logits, their softmax.

    Args:
        logits: their size.
        beta: of the LRN.
        factor: of one filter of the first convolution.
    """
    graph = Graph(seed=0)
    x = graph.conv(graph.input("x", 1, 3, 16, 16), 3, 16, pads=[1] * 4)
    graph.weights["w0"][3] *= np.float32(factor)
    x = graph.node("LRN", graph.node("Relu", x), size=5, alpha=1.0, beta=beta, bias=1.0)
    for _ in range(3):
        x = graph.node("Relu", graph.conv(x, 16, 16, pads=[1] * 4))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    x = graph.node("Gemm", x, graph.normal(16, CLASSES, scale=logits), graph.normal(CLASSES, scale=logits))
    return graph.model(graph.node("Softmax", x, axis=1))


@pytest.mark.parametrize("logits", [0.05, 1.0])
def test_small_defects_show_behind_small_logits(logits):
    right = network(logits)
    graph = load(right)
    infer(graph)
    evaluator = Evaluator(graph)
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)}
    case = Judge(evaluator, evaluator).on(feeds)
    name = right.graph.output[0].name
    found = case.compare(name, in_onnxruntime(right, feeds)[name])
    assert found.noise_ratio < 0.8
    for defect in ({"beta": 0.74}, {"factor": 1.01}):
        found = case.compare(name, in_onnxruntime(network(logits, **defect), feeds)[name])
        assert found.wrong > CLASSES // 4, defect
