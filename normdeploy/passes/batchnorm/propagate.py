"""Carry an affine map from where it stands to the layers that absorb it.

Upstream, against the flow of data, it goes to what computes the tensor that it is applied to; downstream, to
everything that reads its result. On the way it may pass nodes that `commute`; upstream also a Concat, whose
branches take their channels' parts, and the addition of a constant.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normdeploy.graph.opsets import BROADCASTING_OPSET
from normdeploy.passes.batchnorm.absorb import DOWNSTREAM, UPSTREAM
from normdeploy.passes.batchnorm.affine import Affine
from normdeploy.passes.batchnorm.commute import commute_downstream, commute_upstream, commutes
from normdeploy.passes.batchnorm.fold_plan import FoldPlan, describe, narrowed, set_constant
from normdeploy.passes.report import Refused


def propagate_upstream(plan: FoldPlan, value: ir.Value, affine: Affine) -> None:
    """Plan to make `value` hold affine(value), by changing what computes it.

    Args:
        plan: receives the edits.
        value: what the map is applied to.
        affine: the map.

    Raises:
        Refused: with the reason why that is not possible.
    """
    producer = value.producer()
    if producer is None:
        raise Refused(f"its input '{value.name}' is {_origin(value)}")
    if producer.graph is not plan.scope.graph:
        raise Refused(f"its input '{value.name}' is computed outside this body, by {describe(producer)}")
    if value.is_graph_output():
        raise Refused(f"its input '{value.name}' is an output of the graph, which has to stay")
    if len(value.uses()) > 1:
        readers = sorted(describe(use.node) for use in value.uses())
        raise Refused(f"its input '{value.name}' is used elsewhere too: by {', '.join(readers)}")
    _require_plain(producer)
    operator = producer.op_type
    if operator in UPSTREAM:
        UPSTREAM[operator](plan, producer, affine)
    elif commutes(producer):
        propagate_upstream(plan, _first_input(producer), commute_upstream(plan, producer, affine))
    elif operator == "Concat":
        _upstream_of_concat(plan, producer, affine)
    elif operator in ("Add", "Sub"):
        _upstream_of_addition(plan, producer, affine)
    else:
        raise Refused(f"{describe(producer)} before it cannot take it up")


def propagate_downstream(plan: FoldPlan, value: ir.Value, affine: Affine) -> None:
    """Plan to make every reader of `value` compute what it would compute of affine(value).

    Args:
        plan: receives the edits.
        value: the result of the map, which its readers take for what the map is applied to.
        affine: the map.

    Raises:
        Refused: with the reason why that is not possible.
    """
    if value.is_graph_output():
        raise Refused(f"its result '{value.name}' is an output of the graph")
    if not value.uses():
        raise Refused(f"nothing reads its result '{value.name}'")
    for use in value.uses():
        reader = use.node
        if reader.graph is not plan.scope.graph:
            raise Refused(f"its result '{value.name}' is read inside the body of another node")
        _require_plain(reader)
        if use.idx != 0:
            raise Refused(f"{describe(reader)} after it reads it as input {use.idx}")
        if reader.op_type in DOWNSTREAM:
            DOWNSTREAM[reader.op_type](plan, reader, affine)
        elif commutes(reader):
            propagate_downstream(plan, reader.outputs[0], commute_downstream(plan, reader, affine))
        else:
            raise Refused(f"{describe(reader)} after it cannot take it up")


def _origin(value: ir.Value) -> str:
    if value.is_initializer():
        return "a constant"
    return "an input of the graph"


def _require_plain(node: ir.Node) -> None:
    if node.domain:
        raise Refused(f"{node.domain}.{node.op_type} '{node.name}' is not a standard operator")
    for attribute in node.attributes.values():
        if attribute.is_ref():
            raise Refused(
                f"the attribute '{attribute.name}' of {describe(node)} comes from a function's caller"
            )


def _first_input(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value


def _upstream_of_concat(plan: FoldPlan, concat: ir.Node, affine: Affine) -> None:
    """Each branch of a Concat absorbs the part of the map for its channels."""
    rank = None if concat.outputs[0].shape is None else len(concat.outputs[0].shape)
    axis = concat.attributes.get_int("axis", 1)
    if axis != 1 and (rank is None or axis + rank != 1):
        raise Refused(f"{describe(concat)} joins along axis {axis}, not along the channels")
    start = 0
    for value in concat.inputs:
        assert value is not None
        size = value.shape[1] if value.shape is not None and len(value.shape) > 1 else None
        if not isinstance(size, int):
            raise Refused(
                f"the number of channels of '{value.name}', a branch of {describe(concat)}, is not known"
            )
        try:
            propagate_upstream(plan, value, affine.part(start, start + size))
        except Refused as reason:
            raise Refused(f"a branch of {describe(concat)} cannot take it up: {reason}") from None
        start += size


def _upstream_of_addition(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    """a·(x ± c) + b = a·x + (b ± a·c): what makes x absorbs the scale, the constant c the rest."""
    if plan.scope.opset < BROADCASTING_OPSET:
        raise Refused(f"{describe(node)} before it broadcasts by the rules of opset {plan.scope.opset}")
    constants = [
        index
        for index, value in enumerate(node.inputs)
        if value is not None and plan.constants.is_constant(value)
    ]
    shape = node.outputs[0].shape
    if len(constants) != 1 or shape is None or len(shape) < 2:
        raise Refused(f"{describe(node)} before it cannot take it up")
    index = constants[0]
    addend = plan.parameter(node, index, "constant")
    source = node.inputs[1 - index]
    assert addend is not None
    assert source is not None
    if source.shape is None or len(source.shape) != len(shape):
        raise Refused(f"{describe(node)} before it gives its input another rank")
    per_channel = (-1, *[1] * (len(shape) - 2))  # (C, 1, ...) against (N, C, D1, ...)
    scale, shift = affine.scale.reshape(per_channel), affine.shift.reshape(per_channel)
    sign = -1.0 if node.op_type == "Sub" and index == 1 else 1.0
    total = scale * addend.astype(np.float64) + sign * shift
    propagate_upstream(plan, source, affine.only_scale())
    plan.add(node, set_constant(node, index, narrowed(node, total, addend.dtype), "constant"))
