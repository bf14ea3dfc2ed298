"""Nodes cut out of a model compute what they compute inside it."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.localize.submodels import (
    chunks,
    is_separable,
    isolated_nodes,
    prefix,
    tensors_read,
    with_outputs,
)
from tests.builders import FLOAT, model
from tests.validation.networks import RESIDUAL_INPUTS, branching_network, residual_network


def tensors(whole, inputs=RESIDUAL_INPUTS):
    """Every tensor of the main graph that a node reads or computes, in float32 where it is floating."""
    named = {name for node in whole.graph for name in tensors_read(node)}
    named |= {value.name for node in whole.graph for value in node.outputs}
    exact = Evaluator(whole).run(inputs, sorted(named))
    return {
        name: array.astype(np.float32) if array.dtype == np.float64 else array
        for name, array in exact.items()
    }


def test_isolated_nodes_compute_what_they_compute_in_the_model():
    whole = inferred(residual_network())
    expected = tensors(whole)
    part = isolated_nodes(whole, range(len(whole.graph)), expected, set(), {})
    assert set(part.inputs) == {"x", "c1", "r1", "n", "c2", "t", "p", "c3"}
    actual = Evaluator(part.model).run({name: expected[name] for name in part.inputs})
    assert set(part.outputs.values()) == {"c1", "r1", "n", "c2", "t", "p", "c3", "y"}
    for name, tensor in part.outputs.items():
        np.testing.assert_allclose(actual[name], expected[tensor], rtol=1e-4, atol=1e-4)


def test_isolated_nodes_do_not_read_each_other():
    whole = inferred(residual_network())
    given = tensors(whole) | {"r1": np.zeros((2, 8, 6, 6), np.float32)}
    part = isolated_nodes(whole, [1, 2], given, set(), {})
    actual = Evaluator(part.model).run({name: given[name] for name in part.inputs})
    assert actual["r1/alone"].any(), "computed from c1"
    assert not actual["n/alone"].any(), "computed from the r1 that was given"


def test_embedded_tensors_are_no_inputs():
    whole = inferred(residual_network())
    part = isolated_nodes(whole, [2], tensors(whole), {"r1"}, {})
    assert part.inputs == []
    assert list(part.model.graph.initializers) == ["r1"]


def test_a_subgraph_is_given_what_it_reads_from_outside():
    whole = inferred(branching_network())
    position = next(index for index, node in enumerate(whole.graph) if node.op_type == "If")
    assert tensors_read(whole.graph[position]) == {"g", "r", "one"}
    expected = tensors(whole, {"x": np.ones((2, 3), np.float32)})
    part = isolated_nodes(whole, [position], expected, set(), {})
    assert set(part.inputs) == {"g", "r"}
    actual = Evaluator(part.model).run({name: expected[name] for name in part.inputs})
    np.testing.assert_allclose(actual["b/alone"], expected["b"], rtol=1e-6)


@pytest.mark.parametrize("count", range(1, 9))
def test_a_prefix_gives_what_the_rest_needs(count):
    whole = inferred(residual_network())
    part = prefix(whole, count, ConstantAnalysis(whole).names(), {})
    needed = {name for node in list(whole.graph)[count:] for name in tensors_read(node)} | {"y"}
    computed = {value.name for node in list(whole.graph)[:count] for value in node.outputs}
    assert set(part.outputs) == needed & computed
    actual, expected = Evaluator(part.model).run(RESIDUAL_INPUTS), tensors(whole)
    for name in part.outputs:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6)


def test_weights_listed_as_inputs_are_not_asked_for():
    """As files of IR version 3 have them."""
    proto = residual_network()
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, FLOAT, tensor.dims))
    whole = inferred(proto)
    assert prefix(whole, 3, set(), {}).inputs == ["x"]
    assert isolated_nodes(whole, [0], tensors(whole), set(), {}).inputs == ["x"]


def test_nodes_with_tensors_of_unknown_type_or_without_inputs_are_not_separable():
    nodes = [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Unheard", ["e"], ["u"], domain="of"),
        helper.make_node("Constant", [], ["c"], value_float=1.0),
        helper.make_node("Unheard", ["c"], ["y"], domain="of"),
    ]
    proto = model(nodes, {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])})
    proto.opset_import.append(helper.make_opsetid("of", 1))
    assert [is_separable(node) for node in inferred(proto).graph] == [True, False, False, True]


def test_with_outputs_exposes_tensors_and_leaves_the_model_alone():
    whole = inferred(residual_network())
    copy = with_outputs(whole, {"c1", "n"})
    assert [value.name for value in copy.graph.outputs] == ["c1", "n"]
    assert [value.name for value in whole.graph.outputs] == ["y"]


def test_cutting_does_not_change_the_model():
    whole = inferred(residual_network())
    before = ir.to_proto(whole).SerializeToString()
    isolated_nodes(whole, [2], tensors(whole), {"r1"}, {})
    prefix(whole, 3, set(), {})
    assert ir.to_proto(whole).SerializeToString() == before


def test_chunks_hold_no_more_than_the_limit_and_count_shared_tensors_once():
    sizes = {"a": 3, "b": 3, "c": 3, "huge": 50}
    needs = {1: {"a", "b"}, 2: {"b"}, 3: {"b", "c"}, 4: {"huge"}, 5: {"a", "unknown"}}
    assert chunks(needs, needs.__getitem__, sizes, 9) == [[1, 2, 3], [4], [5]]
    assert chunks(needs, needs.__getitem__, sizes, 6) == [[1, 2], [3], [4], [5]]
    assert chunks([], needs.__getitem__, sizes, 6) == []
