"""Take out nodes that pass on what they read: Identity, and Dropout at inference."""

from __future__ import annotations

import onnx_ir as ir

from normdeploy.graph.scopes import Scope, scopes
from normdeploy.passes.constants import Constants


class RemoveIdentities(ir.passes.InPlacePass):
    """Connect the readers of such a node to its input.

    onnx_ir's own pass gives a graph output's name to a tensor that already is another output, and to a
    tensor of the graph around a subgraph; those stay here.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants = Constants(model)
        modified = False
        for scope in scopes(model):
            modified |= _remove(scope, constants)
        return ir.passes.PassResult(model, modified)


def _remove(scope: Scope, constants: Constants) -> bool:
    modified = False
    for node in scope.graph:
        if node.domain or node.op_type not in ("Identity", "Dropout"):
            continue
        source = node.inputs[0]
        if source is None or (
            node.op_type == "Dropout" and not dropout_is_identity(node, constants, scope.opset)
        ):
            continue
        if not node.outputs[0].is_graph_output():
            scope.editor.skip(node, source)
        elif _may_be_renamed(source, scope):
            scope.editor.bypass(node, source)
        else:
            continue
        modified = True
    return modified


def dropout_is_identity(node: ir.Node, constants: Constants, opset: int) -> bool:
    """Whether a Dropout passes on what it reads: at inference, where nobody reads its mask.

    Args:
        node: the Dropout.
        constants: of the model.
        opset: the version of the standard operators; before 7 `is_test` tells inference from training, from
            12 on the input `training_mode`, and in between Dropout is for inference only.
    """
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return False
    if opset < 7:
        return node.attributes.get_int("is_test", 0) == 1
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    return mode is None or constants.scalar(mode) == 0


def _may_be_renamed(value: ir.Value, scope: Scope) -> bool:
    producer = value.producer()
    return producer is not None and producer.graph is scope.graph and not value.is_graph_output()
