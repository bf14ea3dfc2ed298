"""Models of one operator, for the tests of its rounding."""

from __future__ import annotations

from onnx import helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from tests.builders import FLOAT, model


def typed(proto):
    """With the types of all tensors, by which they are rounded."""
    graph = load(proto)
    infer(graph)
    return Evaluator(graph)


def one(op_type, x, opset=21, weights=(), element=FLOAT, domain="", **attributes):
    """x -> one operator -> y; further inputs are stored."""
    names = [f"w{index}" for index in range(len(weights))]
    proto = model(
        [helper.make_node(op_type, ["x", *names], ["y"], domain=domain, **attributes)],
        {"x": (element, x.shape)},
        {"y": (FLOAT, [None] * x.ndim)},
        dict(zip(names, weights, strict=True)),
        opset,
    )
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    return proto
