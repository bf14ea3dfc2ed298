"""Nodes that an affine map per channel can pass: f(a·x + b) = a'·f(x) + b'.

A map of f's result that travels upstream becomes one of what f reads; a map of what f reads that travels
downstream becomes one of its result. Identity, inference Dropout and average pooling leave the map as it is.
An average over a window that counts padding is smaller than the mean of what lies inside, so no shift passes
it. MaxPool needs a > 0. Reshape, Flatten, Squeeze and Unsqueeze keep the order of the elements: the map
passes where the axes 0 and 1 stay and, downstream, where the axes behind the channels become part of them:
(N, C, H, W) -> (N, C·H·W), each channel's values repeated H·W times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from normdeploy.graph.shapes import Dim, dims_of, format_dims
from normdeploy.passes.batchnorm.affine import Affine
from normdeploy.passes.batchnorm.fold_plan import FoldPlan, describe
from normdeploy.passes.remove_identities import dropout_is_identity
from normdeploy.passes.report import Refused

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def commutes(node: ir.Node) -> bool:
    """Whether the operator is one that maps may pass."""
    return node.op_type in _CHECKS or node.op_type in _RESHAPES


def commute_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> Affine:
    """The map of what the node reads that is worth a map of its result.

    Args:
        plan: for the constants and the opset of the node's graph.
        node: one that `commutes`.
        affine: the map of its result.

    Raises:
        Refused: there is none.
    """
    if node.op_type not in _RESHAPES:
        return _unchanged(plan, node, affine)
    source, target = _shapes(node)
    if not _keeps_channels(plan, node, source, target):
        raise Refused(_loses_channels(node, source, target))
    return affine


def commute_downstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> Affine:
    """The map of the node's result that is worth a map of what it reads.

    Args:
        plan: for the constants and the opset of the node's graph.
        node: one that `commutes`.
        affine: the map of what it reads.

    Raises:
        Refused: there is none.
    """
    if node.op_type not in _RESHAPES:
        return _unchanged(plan, node, affine)
    source, target = _shapes(node)
    if _keeps_channels(plan, node, source, target):
        return affine
    merged = len(target) == 2 and len(source) > 2 and _same(source[0], target[0])
    if merged and isinstance(target[1], int) and target[1] % affine.channels == 0:
        return affine.repeat(target[1] // affine.channels)
    raise Refused(_loses_channels(node, source, target))


def _unchanged(plan: FoldPlan, node: ir.Node, affine: Affine) -> Affine:
    _CHECKS[node.op_type](plan, node, affine)
    return affine


def _any_map(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    """Every map passes."""


def _inference_only(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    if not dropout_is_identity(node, plan.constants, plan.scope.opset):
        raise Refused(f"{describe(node)} is in training mode, or its mask is used")


def _no_shift_into_padding(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    if node.attributes.get_int("count_include_pad", 0) == 0 or not affine.shift.any():
        return
    automatic = node.attributes.get_string("auto_pad", "NOTSET")
    padded = any(node.attributes.get_ints("pads", ())) or automatic.startswith("SAME")
    if padded or node.attributes.get_int("ceil_mode", 0) == 1:
        raise Refused(f"{describe(node)} counts its padding, which meets a shift that is not 0")


def _increasing_only(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    if not (affine.scale > 0).all():
        raise Refused(f"{describe(node)} meets the scale {affine.scale.min():g}, not above 0")


def _over_positions_only(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    rank = None if node.inputs[0] is None or node.inputs[0].shape is None else len(node.inputs[0].shape)
    axes: list[int] | None = list(node.attributes.get_ints("axes", ())) or None
    if len(node.inputs) > 1:
        axes = plan.constants.integers(node.inputs[1])
    if rank is None or not axes or any(axis + (rank if axis < 0 else 0) < 2 for axis in axes):
        raise Refused(f"{describe(node)} averages over axes {axes}, not over positions only")


_CHECKS: Mapping[str, Callable[[FoldPlan, ir.Node, Affine], None]] = {
    "Identity": _any_map,
    "Dropout": _inference_only,
    "AveragePool": _no_shift_into_padding,
    "GlobalAveragePool": _any_map,
    "MaxPool": _increasing_only,
    "GlobalMaxPool": _increasing_only,
    "ReduceMean": _over_positions_only,
}
"""Operators that maps pass unchanged, each with what refuses those that it does not let pass."""


def _shapes(node: ir.Node) -> tuple[Sequence[Dim], Sequence[Dim]]:
    """Of what a node reads and of its result."""
    source, target = node.inputs[0], node.outputs[0]
    if source is None or source.shape is None or target.shape is None:
        raise Refused(f"the shapes of {describe(node)} are not known")
    return dims_of(source.shape), dims_of(target.shape)


def _loses_channels(node: ir.Node, source: Sequence[Dim], target: Sequence[Dim]) -> str:
    shapes = f"{format_dims(source)} into {format_dims(target)}"
    return f"{describe(node)} turns {shapes}: it does not keep the channels"


def _keeps_channels(plan: FoldPlan, node: ir.Node, source: Sequence[Dim], target: Sequence[Dim]) -> bool:
    """Whether axes 0 and 1 stay what they are."""
    if len(source) < 2 or len(target) < 2:
        return False
    if node.op_type == "Reshape" and not node.attributes.get_int("allowzero", 0):
        wanted = plan.constants.integers(node.inputs[1]) if len(node.inputs) > 1 else None
        if wanted is not None and len(wanted) > 1 and wanted[0] == 0 and wanted[1] in (0, source[1]):
            return True
    return _same(source[0], target[0]) and isinstance(source[1], int) and source[1] == target[1]


def _same(left: Dim, right: Dim) -> bool:
    """Whether two sizes are certainly equal."""
    return left is not None and left == right
