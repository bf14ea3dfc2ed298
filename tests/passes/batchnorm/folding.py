"""What has to become of graphs around BatchNormalization: all folded, or one kept for a reason."""

import re
from collections.abc import Callable

import numpy as np
import onnx

from tests.builders import BN, Graph
from tests.equivalence import operators, optimized, random_inputs, run_in_onnxruntime


def assert_folded(model: onnx.ModelProto, left: str) -> None:
    """Every BatchNormalization folds into nodes that are there, and the operators that are left are these.

    What is computed stays the same, in the reference and in onnxruntime.
    """
    result = optimized(model)
    assert sorted(operators(result.model).elements()) == sorted(left.split())
    assert {record.status for record in result.report.batchnorm} == {"folded"}
    targets = {node.name for node in result.model.graph.node}
    for record in result.report.batchnorm:
        assert record.into
        assert set(record.into.split(", ")) <= targets
    inputs = random_inputs(model)
    for before, after in zip(
        run_in_onnxruntime(model, inputs), run_in_onnxruntime(result.model, inputs), strict=True
    ):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def assert_kept(model: onnx.ModelProto, reason: str) -> None:
    """The one BatchNormalization stays, for a reason that the pattern matches."""
    result = optimized(model)
    assert operators(result.model)[BN] == operators(model)[BN]
    (record,) = result.report.batchnorm
    assert record.status == "kept"
    assert re.search(reason, record.reason), record.reason


def behind_conv(make: Callable[[Graph, str], str]) -> onnx.ModelProto:
    """x -> Conv with 6 channels -> what `make` adds."""
    g = Graph()
    return g.model(make(g, g.conv(g.input("x", "N", 3, 8, 8), 3, 6)))


def conv_bn(dtype, stat_dtype=None, opset: int = 17, edit=None, **attributes) -> onnx.ModelProto:
    """x -> Conv with 6 channels -> BatchNormalization; `edit` sees the weights and the parameters' names."""
    g = Graph(dtype, opset=opset, stat_dtype=stat_dtype)
    y = g.conv(g.input("x", 2, 3, 8, 8), 3, 6)
    names = g.statistics(6)
    if edit is not None:
        edit(g.weights, names)
    return g.model(g.node(BN, y, *names, **attributes))
