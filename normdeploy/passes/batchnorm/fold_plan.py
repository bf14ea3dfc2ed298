"""The edits that fold one affine map: planned first, made only when all of them are possible.

A folded weight is computed in float64 and rounded once, to the weight's own type. Rounding moves the output
of channel c by up to about ρ·r: r is the typical magnitude of what the weights sum up to there
(`Affine.product_magnitude`), ρ the largest relative error of the channel's weights, ::

    ρ = u + √n · η / (2 · max |W'|)        u: unit roundoff    η: smallest subnormal    n weights

The second term counts only where weights come near the end of the type's range. A fold is refused if ρ·r is
more than `ROUNDOFFS` · u times the output's typical magnitude: where the mean is tens (in half precision) or
hundreds of times the deviation, or where weights vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.graph.edit import Editor
from normdeploy.graph.scopes import Scope, node_name
from normdeploy.passes.batchnorm.affine import Affine, Array
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import Refused

ROUNDOFFS = {"float64": 150, "float32": 150, "float16": 10, "bfloat16": 10}
"""How many unit roundoffs u of the output's typical magnitude a fold may move it by, for each type.

As much as `check` allows a runtime that computes the layer: factor(N) · σ (normdeploy.validation.noise),
6.8 σ for a million outputs. Half precision rounds the result when it is stored: σ = u/√2, and check allows
4.8 u. float32 and float64 round each step of a sum: σ = 9.9 u for the 576 terms of a 3×3 kernel over 64
channels, and check allows 67 u. A rounded number is off by 0.42 u in the root mean square, so that the output
moves by 0.42 · ρ·r: the limits are 4.8 / 0.42 = 11 and 67 / 0.42 = 160, less a margin. A test measures both
sides.
"""

Edit = Callable[[Editor], None]
"""A change of a graph, made with its editor."""


class FoldPlan:
    """What to change in one scope.

    Args:
        constants: of the model.
        scope: the main graph, a subgraph or a function.
    """

    def __init__(self, constants: Constants, scope: Scope) -> None:
        self.constants = constants
        self.scope = scope
        self._edits: list[Edit] = []
        self._targets: list[str] = []

    def apply(self) -> str:
        """Make the edits; the names of the nodes that absorb the map."""
        for edit in self._edits:
            edit(self.scope.editor)
        return ", ".join(dict.fromkeys(self._targets))

    def add(self, node: ir.Node, *edits: Edit) -> None:
        """Plan edits by which a node absorbs the map."""
        self._edits.extend(edits)
        self._targets.append(node_name(node))

    def parameter(self, node: ir.Node, index: int, what: str) -> NDArray[Any] | None:
        """A parameter of a layer in its own type; None where the layer has none.

        Args:
            node: the layer.
            index: which of its inputs.
            what: what that input is, for messages.

        Raises:
            Refused: the parameter is computed or quantized, or the caller may override it.
        """
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None:
            return None
        named = f"the {what} '{value.name}' of {describe(node)}"
        array = self.constants.array(value)
        if array is None:
            raise Refused(f"{named} {self.constants.why_not(value)}")
        if array.dtype.name not in ROUNDOFFS or self.constants.is_quantized(value):
            raise Refused(f"{named} is quantized ({array.dtype})")
        return array

    def wide_parameter(self, node: ir.Node, index: int, what: str) -> Array | None:
        """A parameter of a layer in float64; see `parameter`."""
        array = self.parameter(node, index, what)
        return None if array is None else array.astype(np.float64)

    def weight(self, node: ir.Node) -> NDArray[Any]:
        """The second input of a layer; see `parameter`."""
        weight = self.parameter(node, 1, "weight")
        assert weight is not None
        return weight


def set_constant(node: ir.Node, index: int, array: NDArray[Any], what: str) -> Edit:
    """The edit that gives a node a constant of its own.

    Args:
        node: the node.
        index: of the input that becomes the constant.
        array: its value.
        what: ends the constant's name where the node has no such input yet.
    """
    name = f"{node_name(node)}.{what}"
    return lambda editor: editor.set_constant(node, index, array, name)


def set_float(node: ir.Node, name: str, value: float) -> Edit:
    """The edit that gives a node another attribute."""
    return lambda editor: node.attributes.add(ir.AttrFloat32(name, value))


def scaled_weight(
    node: ir.Node, weight: NDArray[Any], factors: Array, channel_axes: tuple[int, ...], affine: Affine
) -> NDArray[Any]:
    """weight · factors in the weight's type.

    Args:
        node: the layer, for messages.
        weight: its weights, in a shape that has the channels along `channel_axes`.
        factors: the map's scale, shaped to broadcast against the weight.
        channel_axes: where the weight's shape holds the channels.
        affine: the map that is folded.

    Raises:
        Refused: the type cannot hold the product, or not precisely enough.
    """
    product: NDArray[Any]
    with np.errstate(over="ignore", under="ignore"):
        if weight.dtype.kind == "f":  # buffered: in float64, rounded once, without a copy in float64
            product = np.multiply(weight, factors, out=np.empty_like(weight), casting="same_kind")
        else:
            product = (weight.astype(np.float64) * factors).astype(weight.dtype)
    if product.size == 0:
        return product
    others = tuple(axis for axis in range(weight.ndim) if axis not in channel_axes)
    peak = np.abs([product.max(axis=others), product.min(axis=others)]).max(axis=0)
    peak = peak.astype(np.float64).reshape(-1)
    if not np.isfinite(peak).all():
        raise Refused(_overflow(node, weight.dtype, np.abs(weight.astype(np.float64) * factors).max()))
    _check_rounding(node, weight, peak, others, affine)
    return product


def _check_rounding(
    node: ir.Node, weight: NDArray[Any], peak: Array, others: tuple[int, ...], affine: Affine
) -> None:
    """Refuse a fold whose rounding would move the output too far.

    Args:
        node: the layer, for messages.
        weight: its weights before the fold.
        peak: the largest of the folded weights in each channel.
        others: the axes of `weight` that are no channels.
        affine: the map that is folded.
    """
    info = ml_dtypes.finfo(weight.dtype)  # type: ignore[no-untyped-call]
    roundoff, subnormal = float(info.eps) / 2, float(info.smallest_subnormal)
    count = weight.size / peak.size
    with np.errstate(divide="ignore"):
        error = np.minimum(roundoff + np.sqrt(count) * subnormal / (2 * peak), 1.0)
    if not peak.all():  # all zeros: nothing is lost where they were zeros before
        before = np.abs(weight).max(axis=others).astype(np.float64).reshape(-1)
        error = np.where((peak == 0) & (before == 0), 0.0, error)
    moved, magnitude = error * affine.product_magnitude, affine.output_magnitude
    worst = int(np.argmax(moved))
    if moved[worst] > ROUNDOFFS[weight.dtype.name] * roundoff * magnitude:
        raise Refused(
            f"rounding the folded weights of {describe(node)} to {weight.dtype} would move channel {worst} "
            f"by about {moved[worst]:.2g}, where the output's magnitude is about {magnitude:.2g}"
        )


def wider_type(node: ir.Node, parameter: NDArray[Any]) -> np.dtype[Any]:
    """The type of a BatchNormalization's parameter, or that of what it reads if that holds more digits."""
    source = node.inputs[0]
    known = None if source is None or source.dtype is None else np.dtype(source.dtype.numpy())
    if known is not None and known.itemsize > parameter.dtype.itemsize:
        return known
    return parameter.dtype


def narrowed(node: ir.Node, array: Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in a parameter's type.

    Args:
        node: whose parameter it is, for messages.
        array: the values.
        dtype: the type.

    Raises:
        Refused: the type cannot hold the values.
    """
    with np.errstate(over="ignore", under="ignore"):
        narrow = array.astype(dtype)
    if not np.isfinite(narrow.astype(np.float64)).all():
        raise Refused(_overflow(node, dtype, np.abs(array).max()))
    return narrow


def _overflow(node: ir.Node, dtype: np.dtype[Any], worst: float) -> str:
    return f"the folded parameters of {describe(node)} would reach {worst:.3g}, too large for {dtype}"


def describe(node: ir.Node) -> str:
    """A node as reasons name it."""
    return f"{node.op_type} '{node_name(node)}'"
