"""CastLike becomes Cast where the type is known."""

import numpy as np
from onnx import TensorProto, helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.passes.resolve_cast_like import ResolveCastLike
from tests.builders import FLOAT, Graph, model
from tests.equivalence import operators, optimized


def test_a_known_type():
    g = Graph(np.float16)
    y = g.node("CastLike", g.input("z", 2, element=FLOAT), g.input("x", 2))
    result = optimized(g.model(y)).model
    (node,) = result.graph.node
    assert (node.op_type, helper.get_attribute_value(node.attribute[0])) == ("Cast", TensorProto.FLOAT16)
    assert (node.name, list(node.output)) == ("castlike_1", [y])


def test_zeros_cast_like_a_computed_tensor_become_constant():
    """A layer without bias, as torch exports it."""
    g = Graph()
    x = g.input("x", 2, 3)
    zeros = g.node("CastLike", g.weight(np.zeros(4)), g.node("Relu", x))
    y = g.node("Gemm", x, g.normal(3, 4), zeros)
    assert operators(optimized(g.model(y)).model) == {"Gemm": 1}


def test_an_unknown_type_stays():
    nodes = [
        helper.make_node("Own", ["x"], ["like"], domain="own"),
        helper.make_node("CastLike", ["x", "like"], ["y"]),
    ]
    proto = model(nodes, {"x": (FLOAT, [2])}, {"y": (FLOAT, [2])})
    proto.opset_import.add(domain="own", version=1)
    loaded = load(proto)
    infer(loaded)
    assert not ResolveCastLike()(loaded).modified
    assert [node.op_type for node in loaded.graph] == ["Own", "CastLike"]
