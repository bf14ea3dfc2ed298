"""Absorb an affine map per channel, y = a·x + b on axis 1, into the linear layer that computes x.

Conv           W'[o, ...] = a[o] · W[o, ...]                        B' = a·B + b
ConvTranspose  W'[c, m, ...] = a[g·M/G + m] · W[c, m, ...]          B' = a·B + b      (c in group g of G)
Gemm           α·A·B + β·C: B' = B · diag(a), C' = a·β·C + b, β' = 1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.graph.edit import Editor
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import Refused

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """y = scale · x + shift, both of shape (C,), along axis 1."""

    scale: Array
    shift: Array


class Absorber:
    """Plans the edits that absorb one affine map, and makes them only when all are possible."""

    def __init__(self, constants: Constants, editor: Editor) -> None:
        self._constants = constants
        self._editor = editor
        self._edits: list[Callable[[], None]] = []
        self._targets: list[str] = []

    def into(self, value: ir.Value, affine: Affine) -> None:
        """Plan to make `value` hold affine(value).

        Raises:
            Refused: with the reason why it cannot.
        """
        producer = value.producer()
        if producer is None:
            raise Refused(f"its input '{value.name}' is an input of the model")
        if value.is_graph_output():
            raise Refused(f"its input '{value.name}' is an output of the model")
        if len(value.uses()) > 1:
            readers = sorted(f"{use.node.op_type} '{use.node.name}'" for use in value.uses())
            raise Refused(f"its input '{value.name}' is also used elsewhere: {', '.join(readers)}")
        rule = _RULES.get(producer.op_type) if producer.domain in ("", "ai.onnx") else None
        if rule is None:
            raise Refused(
                f"its input is computed by {producer.op_type} '{producer.name}', which cannot absorb it"
            )
        rule(self, producer, affine)
        self._targets.append(producer.name or str(value.name))

    def apply(self) -> str:
        """Make the planned edits; returns the names of the nodes that absorbed the map."""
        for edit in self._edits:
            edit()
        return ", ".join(self._targets)

    def constant(self, node: ir.Node, index: int, what: str) -> Array | None:
        """A parameter of a layer in float64; None where the layer has none.

        Raises:
            Refused: the parameter is computed, or the caller may override it.
        """
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None:
            return None
        array = self._constants.array(value)
        if array is None:
            how = (
                "may be overridden by the caller" if self._constants.is_overridable(value) else "is computed"
            )
            raise Refused(f"the {what} '{value.name}' of {node.op_type} '{node.name}' {how}")
        if array.dtype.kind in "biu":
            raise Refused(
                f"the {what} '{value.name}' of {node.op_type} '{node.name}' is quantized ({array.dtype})"
            )
        return array.astype(np.float64)

    def set_constant(self, node: ir.Node, index: int, array: Array) -> None:
        """Plan to give a layer another parameter, in the type of its weight.

        Raises:
            Refused: the type cannot hold the values.
        """
        weight = self._constants.array(node.inputs[1])
        assert weight is not None
        narrow = _narrow(array, weight.dtype, node)
        name = f"{node.name or node.outputs[0].name}.bias"
        self._edits.append(lambda: self._editor.set_constant(node, index, narrow, name))

    def set_attribute(self, node: ir.Node, name: str, value: float) -> None:
        """Plan to give a layer another attribute."""
        self._edits.append(lambda: node.attributes.add(ir.AttrFloat32(name, value)))


def _narrow(array: Array, dtype: np.dtype[Any], node: ir.Node) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    if not np.isfinite(narrow.astype(np.float64)).all():
        worst = np.abs(array).max()
        raise Refused(
            f"the folded parameters of {node.op_type} '{node.name}' reach {worst:g}: too large for {dtype}"
        )
    return narrow


def _conv(absorber: Absorber, node: ir.Node, affine: Affine) -> None:
    weight = _weight(absorber, node)
    _expect_channels(node, weight.shape[0], affine)
    bias = absorber.constant(node, 2, "bias")
    scale = affine.scale.reshape(-1, *[1] * (weight.ndim - 1))  # (M, 1, ...) against (M, C/G, k...)
    absorber.set_constant(node, 1, weight * scale)
    absorber.set_constant(node, 2, affine.shift if bias is None else affine.scale * bias + affine.shift)


def _conv_transpose(absorber: Absorber, node: ir.Node, affine: Affine) -> None:
    weight = _weight(absorber, node)
    bias = absorber.constant(node, 2, "bias")
    group = node.attributes.get_int("group", 1)
    _expect_channels(node, group * weight.shape[1], affine)
    grouped = weight.reshape(group, -1, *weight.shape[1:])  # (G, C/G, M/G, k...)
    scale = affine.scale.reshape(group, 1, weight.shape[1], *[1] * (weight.ndim - 2))
    absorber.set_constant(node, 1, (grouped * scale).reshape(weight.shape))
    absorber.set_constant(node, 2, affine.shift if bias is None else affine.scale * bias + affine.shift)


def _gemm(absorber: Absorber, node: ir.Node, affine: Affine) -> None:
    weight = _weight(absorber, node)
    bias = absorber.constant(node, 2, "bias")
    transposed = node.attributes.get_int("transB", 0)
    _expect_channels(node, weight.shape[0 if transposed else 1], affine)
    scale = affine.scale.reshape((-1, 1) if transposed else (1, -1))  # along N of (N, K) or (K, N)
    beta = node.attributes.get_float("beta", 1.0)
    absorber.set_constant(node, 1, weight * scale)
    absorber.set_constant(
        node, 2, affine.shift if bias is None else affine.scale * (beta * bias) + affine.shift
    )
    absorber.set_attribute(node, "beta", 1.0)


def _weight(absorber: Absorber, node: ir.Node) -> Array:
    weight = absorber.constant(node, 1, "weight")
    assert weight is not None
    return weight


def _expect_channels(node: ir.Node, channels: int, affine: Affine) -> None:
    if channels != affine.scale.size:
        raise Refused(
            f"{node.op_type} '{node.name}' makes {channels} channels, "
            f"the parameters are for {affine.scale.size}"
        )


_RULES: dict[str, Callable[[Absorber, ir.Node, Affine], None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
}
