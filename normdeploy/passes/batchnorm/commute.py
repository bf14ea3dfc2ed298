"""Nodes that an affine map per channel can be moved through: f(a·x + b) = a'·f(x) + b'.

Identity, inference Dropout and average pooling leave the map as it is. An average over a window that counts
padding is smaller than the mean of what lies inside, so no shift passes through it. MaxPool needs a > 0.
Reshape, Flatten, Squeeze and Unsqueeze keep the order of the elements: the map passes where the axes 0 and
1 stay, and, from before, where the axes behind the channels become part of them:
(N, C, H, W) -> (N, C·H·W), each channel's values repeated H·W times.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from normdeploy.passes.batchnorm.affine import Affine
from normdeploy.passes.batchnorm.fold_plan import describe
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import Refused

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def commutes(node: ir.Node) -> bool:
    """Whether the operator is one that maps may pass."""
    return node.op_type in _CHECKS or node.op_type in _RESHAPES


def commute_upstream(node: ir.Node, affine: Affine, constants: Constants) -> Affine:
    """The map of the node's input that is worth a map of its output.

    Raises:
        Refused: there is none.
    """
    if node.op_type not in _RESHAPES:
        return _unchanged(node, affine, constants)
    source, target = _shapes(node)
    if not _keeps_channels(node, source, target, constants):
        raise Refused(f"{describe(node)} turns {source} into {target}: it does not keep the channels")
    return affine


def commute_downstream(node: ir.Node, affine: Affine, constants: Constants) -> Affine:
    """The map of the node's output that is worth a map of its input.

    Raises:
        Refused: there is none.
    """
    if node.op_type not in _RESHAPES:
        return _unchanged(node, affine, constants)
    source, target = _shapes(node)
    if _keeps_channels(node, source, target, constants):
        return affine
    merged = len(target) == 2 and len(source) > 2 and _same(source[0], target[0])
    if merged and isinstance(target[1], int) and target[1] % affine.channels == 0:
        return affine.repeat(target[1] // affine.channels)
    raise Refused(f"{describe(node)} turns {source} into {target}: it does not keep the channels")


def _unchanged(node: ir.Node, affine: Affine, constants: Constants) -> Affine:
    _CHECKS[node.op_type](node, affine, constants)
    return affine


def _always(node: ir.Node, affine: Affine, constants: Constants) -> None:
    pass


def _dropout(node: ir.Node, affine: Affine, constants: Constants) -> None:
    if not drops_nothing(node, constants):
        raise Refused(f"{describe(node)} is in training mode, or its mask is used")


def drops_nothing(node: ir.Node, constants: Constants) -> bool:
    """Whether a Dropout is the identity: inference, and nobody reads its mask."""
    mask_used = any(output.uses() or output.is_graph_output() for output in node.outputs[1:])
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    if mask_used:
        return False
    return mode is None or constants.scalar(mode) == 0


def _average_pool(node: ir.Node, affine: Affine, constants: Constants) -> None:
    if node.attributes.get_int("count_include_pad", 0) == 0 or not affine.shift.any():
        return
    automatic = node.attributes.get_string("auto_pad", "NOTSET")
    padded = any(node.attributes.get_ints("pads", ())) or automatic.startswith("SAME")
    if padded or node.attributes.get_int("ceil_mode", 0) == 1:
        raise Refused(f"{describe(node)} counts its padding, which meets a shift that is not 0")


def _max_pool(node: ir.Node, affine: Affine, constants: Constants) -> None:
    if not (affine.scale > 0).all():
        raise Refused(f"{describe(node)} meets the scale {affine.scale.min():g}, not above 0")


def _reduce_mean(node: ir.Node, affine: Affine, constants: Constants) -> None:
    rank = None if node.inputs[0] is None or node.inputs[0].shape is None else len(node.inputs[0].shape)
    axes: list[int] | None = list(node.attributes.get_ints("axes", ())) or None
    if len(node.inputs) > 1:
        axes = constants.integers(node.inputs[1])
    if rank is None or not axes or any(axis + (rank if axis < 0 else 0) < 2 for axis in axes):
        raise Refused(f"{describe(node)} averages over axes {axes}, not over positions only")


_CHECKS: dict[str, Callable[[ir.Node, Affine, Constants], None]] = {
    "Identity": _always,
    "Dropout": _dropout,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _always,
    "MaxPool": _max_pool,
    "GlobalMaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
}

_Dims = list[int | str | None]


def _shapes(node: ir.Node) -> tuple[_Dims, _Dims]:
    shapes = []
    for value in (node.inputs[0], node.outputs[0]):
        if value is None or value.shape is None:
            raise Refused(f"the shapes of {describe(node)} are not known")
        shapes.append([dim if isinstance(dim, int) else dim.value for dim in value.shape])
    return shapes[0], shapes[1]


def _keeps_channels(node: ir.Node, source: _Dims, target: _Dims, constants: Constants) -> bool:
    if len(source) < 2 or len(target) < 2:
        return False
    if node.op_type == "Reshape" and not node.attributes.get_int("allowzero", 0):
        wanted = constants.integers(node.inputs[1]) if len(node.inputs) > 1 else None
        if wanted is not None and len(wanted) > 1 and wanted[0] == 0 and wanted[1] in (0, source[1]):
            return True
    return _same(source[0], target[0]) and isinstance(source[1], int) and source[1] == target[1]


def _same(left: int | str | None, right: int | str | None) -> bool:
    return left is not None and left == right
