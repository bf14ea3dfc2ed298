"""What a model consists of."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from normdeploy.graph.inference import inferred
from normdeploy.graph.inventory import Port, Weights, count_operators, inventory
from tests.builders import model


@pytest.fixture
def chosen():
    """An If whose branches hold a Relu and an Exp, weights of two types and of text, and an output of any
    shape."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(operator, ["scaled"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, operator in (("then", "Relu"), ("else", "Exp"))
    }
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["scaled"]),
        helper.make_node("If", ["flag"], ["y"], **branches),
        helper.make_node("Identity", ["words"], ["text"]),
    ]
    proto = model(
        nodes,
        {"x": (TensorProto.FLOAT, ["N", 3]), "flag": (TensorProto.BOOL, [])},
        {"y": (TensorProto.FLOAT, ["N", 3]), "text": (TensorProto.STRING, [2])},
        {"w": np.ones(3, np.float32), "unused": np.ones((2, 2), np.float64)},
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.array(["ab", "cde"], object), "words"))
    return ir.from_proto(proto)


def test_inputs_and_outputs(chosen):
    found = inventory(chosen)
    assert found.inputs == [Port("x", "float32", ("N", 3)), Port("flag", "bool", ())]
    assert found.outputs == [Port("y", "float32", ("N", 3)), Port("text", "string", (2,))]


def test_weights_by_type_the_largest_first(chosen):
    assert inventory(chosen).initializers == [
        Weights("float64", 1, 4, 32),
        Weights("float32", 1, 3, 12),
        Weights("string", 1, 2, 5),
    ]


def test_operators_of_subgraphs_count(chosen):
    assert count_operators(chosen) == {"Exp": 1, "Identity": 1, "If": 1, "Mul": 1, "Relu": 1}
    assert inventory(chosen).nodes == 5


def test_the_most_frequent_operator_is_first_and_a_function_is_one_operator():
    found = inventory(inferred("models/digits/original.onnx"))
    assert list(found.operators.items())[:3] == [("BatchNormalization", 4), ("Relu", 4), ("Conv", 3)]
    assert found.operators["normdeploy.IntraChannelLRN"] == 1
    assert found.opsets == {"": 20, "normdeploy": 1}
