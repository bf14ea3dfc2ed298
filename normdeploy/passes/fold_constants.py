"""Compute what does not depend on the model's inputs, once."""

from __future__ import annotations

import onnx_ir as ir

from normdeploy.graph.scopes import Scope, scopes
from normdeploy.passes.constants import Constants

_SLACK = 2**16
"""Bytes; a constant that is this much larger than what it is made from stays a node (ConstantOfShape)."""


class FoldConstants(ir.passes.InPlacePass):
    """Replace constant tensors that other nodes read by initializers of the same name.

    What is made from quantized tensors stays: it would take several times the space, and runtimes look for
    the quantized form.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants = Constants(model)
        modified = False
        for scope in scopes(model):
            modified |= _fold(scope, constants)
        return ir.passes.PassResult(model, modified)


def _fold(scope: Scope, constants: Constants) -> bool:
    frontier = [
        value
        for node in scope.graph
        if node.op_type != "Constant"
        for value in node.outputs
        if value.uses() and constants.is_constant(value) and not _feeds_only(value, constants)
    ]
    modified = False
    for value in frontier:
        if constants.is_quantized(value):
            continue
        array = constants.array(value)
        producer = value.producer()
        assert producer is not None
        sources = [constants.array(item) for item in producer.inputs if item is not None]
        held = sum(item.nbytes for item in sources if item is not None)
        if array is None or array.nbytes > held + _SLACK:
            continue
        name = str(value.name)
        value.name = scope.editor.unique(f"{name}_folded")
        scope.editor.release(name)
        ir.convenience.replace_all_uses_with(
            value, scope.editor.constant(name, array), replace_graph_outputs=True
        )
        modified = True
    return modified


def _feeds_only(value: ir.Value, constants: Constants) -> bool:
    """Whether all that is computed from the value is constant too."""
    if value.is_graph_output():
        return False
    return all(
        output is not None and constants.is_constant(output)
        for use in value.uses()
        for output in use.node.outputs
    )
