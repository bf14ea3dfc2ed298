"""Initializers that a caller may override, and the inputs that a caller has to give.

Up to IR version 3 a model lists every initializer among its inputs too, which says nothing about it. From
version 4 on it need not; one that is listed nevertheless is an input with a default, and a caller may give
another value (onnx.proto3, `GraphProto.initializer`).
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

FREE_INITIALIZERS = 4
"""The IR version from which on initializers need not be inputs; those that are may be overridden."""


def is_overridable(value: ir.Value, ir_version: int | None) -> bool:
    """Whether a tensor is an initializer that a caller may replace: an input with a default.

    Args:
        value: a tensor of any graph of the model.
        ir_version: the model's (`ir.Model.ir_version`).
    """
    return value.is_initializer() and value.is_graph_input() and (ir_version or 0) >= FREE_INITIALIZERS


def required_inputs(graph: ir.Graph) -> list[ir.Value]:
    """The inputs that a caller has to give, in the graph's order: those without an initializer."""
    return [value for value in graph.inputs if not value.is_initializer()]


def free_initializers(model: ir.Model) -> None:
    """Make a model of IR version 3 or older one of version 4, in place; newer ones stay as they are.

    Its inputs are then those that a caller has to give, in subgraphs too.
    """
    if (model.ir_version or 0) < FREE_INITIALIZERS:
        RemoveInitializersFromInputsPass()(model)
        model.ir_version = FREE_INITIALIZERS
