"""Nodes that compute the same from the same tensors become one."""

from __future__ import annotations

from collections.abc import Hashable

import onnx_ir as ir

from normdeploy.graph.constants import is_nondeterministic
from normdeploy.graph.scopes import Scope, scopes

_LARGEST = 1024
"""Elements of an attribute that are worth comparing."""


class MergeDuplicates(ir.passes.InPlacePass):
    """Let the readers of a node read an earlier one that does the same.

    Nodes whose result is a graph output stay, for its name; onnx_ir's own pass would put an Identity in
    their place, and takes two Bernoulli for one.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for scope in scopes(model):
            modified |= _merge(scope, model)
        return ir.passes.PassResult(model, modified)


def _merge(scope: Scope, model: ir.Model) -> bool:
    first: dict[Hashable, ir.Node] = {}
    modified = False
    for node in scope.graph:
        key = _key(node)
        if key is None or is_nondeterministic([node], model):
            continue
        earlier = first.setdefault(key, node)
        if earlier is node or any(output.is_graph_output() for output in node.outputs):
            continue
        ir.convenience.replace_all_uses_with(node.outputs, earlier.outputs)
        scope.graph.remove(node, safe=True)
        modified = True
    return modified


def _key(node: ir.Node) -> Hashable:
    """What two nodes have in common that do the same; None where that is not clear."""
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        value: Hashable
        if attribute.is_ref():
            value = ("reference", attribute.ref_attr_name)
        elif attribute.type == ir.AttributeType.TENSOR:
            tensor = attribute.as_tensor()
            if tensor.size > _LARGEST or tensor.dtype == ir.DataType.STRING:
                return None
            value = (tensor.dtype, tuple(tensor.shape), tensor.tobytes())
        elif attribute.type in _LISTS:
            value = tuple(attribute.value)
        elif attribute.type in _SCALARS:
            value = attribute.value
        else:
            return None
        attributes.append((name, attribute.type, value))
    return (node.op_identifier(), len(node.outputs), tuple(map(id, node.inputs)), tuple(attributes))


_SCALARS = {ir.AttributeType.INT, ir.AttributeType.FLOAT, ir.AttributeType.STRING}
_LISTS = {ir.AttributeType.INTS, ir.AttributeType.FLOATS, ir.AttributeType.STRINGS}
