"""Which initializers a caller may override, and which inputs a caller has to give."""

import onnx_ir as ir
import pytest

from normdeploy.graph.initializers import (
    FREE_INITIALIZERS,
    free_initializers,
    is_overridable,
    required_inputs,
)
from normdeploy.graph.io import load
from tests.builders import Graph


def conv(ir_version: int, *, listed: bool) -> ir.Model:
    """x -> Conv with weights that are listed among the inputs, or not."""
    graph = Graph(ir_version=ir_version)
    graph.conv(graph.input("x", 1, 3, 5, 5), 3, 4)
    return load(graph.model("conv_1_out", weights_as_inputs=listed))


@pytest.mark.parametrize(
    ("ir_version", "listed", "expected"),
    [(3, True, False), (4, True, True), (4, False, False), (8, True, True), (8, False, False)],
)
def test_an_initializer_is_overridable_where_it_need_not_be_listed_but_is(ir_version, listed, expected):
    model = conv(ir_version, listed=listed)
    for value in model.graph.initializers.values():
        assert is_overridable(value, model.ir_version) is expected


def test_neither_inputs_nor_results_are_overridable():
    model = conv(8, listed=True)
    assert not is_overridable(model.graph.inputs[0], 8)
    assert not is_overridable(model.graph.outputs[0], 8)


def test_a_model_without_a_version_counts_as_old():
    model = conv(8, listed=True)
    assert not is_overridable(model.graph.initializers["w0"], None)


@pytest.mark.parametrize("ir_version", [3, 4, 8])
def test_required_inputs_are_those_without_an_initializer(ir_version):
    model = conv(ir_version, listed=True)
    assert [value.name for value in model.graph.inputs] == ["x", "w0", "w1"]
    assert [value.name for value in required_inputs(model.graph)] == ["x"]


def test_old_models_lose_the_initializers_among_their_inputs():
    model = conv(3, listed=True)
    free_initializers(model)
    assert model.ir_version == FREE_INITIALIZERS
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert list(model.graph.initializers) == ["w0", "w1"]


def test_newer_models_keep_their_overridable_initializers():
    model = conv(8, listed=True)
    free_initializers(model)
    assert model.ir_version == 8
    assert [value.name for value in model.graph.inputs] == ["x", "w0", "w1"]
