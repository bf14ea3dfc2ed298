"""Affine maps per channel, y = a·x + b along axis 1, and the nodes that compute them.

At inference BatchNormalization is such a map: a = γ/√(σ² + ε), b = β − a·μ. So are Mul, Add, Sub and Div by
constants that vary along the channels only. Maps that follow each other are one map:
a₂·(a₁·x + b₁) + b₂ = (a₂·a₁)·x + (a₂·b₁ + b₂).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.batchnorm import ONNX_EPSILON
from normdeploy.batchnorm import affine as batchnorm_affine
from normdeploy.graph.opsets import BROADCASTING_OPSET
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import Refused

Array = NDArray[np.float64]

_PARAMETERS = ("scale", "bias", "mean", "variance")


@dataclass(frozen=True)
class Affine:
    """y = scale · x + shift along axis 1, with what is known of x.

    Args:
        scale, shift: shape (C,).
        mean, deviation: of x in each channel, shape (C,): BatchNorm's statistics; 0 and 1 where nothing is
            known. The typical magnitudes below follow from them.
    """

    scale: Array
    shift: Array
    mean: Array
    deviation: Array

    @classmethod
    def plain(cls, scale: Array, shift: Array) -> Affine:
        """A map of values about which nothing is known."""
        return cls(scale, shift, np.zeros_like(scale), np.ones_like(scale))

    @property
    def channels(self) -> int:
        """How many channels there are, C."""
        return self.scale.size

    @property
    def product_magnitude(self) -> Array:
        """The typical magnitude of scale · x in each channel, shape (C,)."""
        magnitude: Array = np.abs(self.scale) * (np.abs(self.mean) + self.deviation)
        return magnitude

    @property
    def output_magnitude(self) -> float:
        """The typical magnitude of y, the root mean square over all channels."""
        squares = np.square(self.scale * self.mean + self.shift) + np.square(self.scale * self.deviation)
        return float(np.sqrt(np.mean(squares)))

    def only_scale(self) -> Affine:
        """The same without its shift."""
        return replace(self, shift=np.zeros_like(self.shift))

    def part(self, start: int, stop: int) -> Affine:
        """The map of the channels from `start` on, up to and without `stop`."""
        return Affine(*(item[start:stop] for item in self._arrays()))

    def repeat(self, count: int) -> Affine:
        """The map where each channel becomes `count` channels that stand side by side."""
        return Affine(*(np.repeat(item, count) for item in self._arrays()))

    def _arrays(self) -> tuple[Array, Array, Array, Array]:
        return self.scale, self.shift, self.mean, self.deviation


@dataclass(frozen=True)
class AffineNode:
    """A node that computes an affine map.

    Args:
        node: the node.
        index: which of its inputs is x.
        affine: the map.
        normalizes: whether it is a BatchNormalization, whose map knows the mean and deviation of x.
    """

    node: ir.Node
    index: int
    affine: Affine
    normalizes: bool = False

    @property
    def source(self) -> ir.Value:
        """What the map is applied to, x."""
        value = self.node.inputs[self.index]
        assert value is not None
        return value


def compose(chain: Sequence[AffineNode]) -> Affine:
    """The map that several nodes compute one after the other.

    Args:
        chain: the nodes, each of which reads the result of the one before; at least one.

    Returns:
        The map from what the first one reads to what the last one computes. Its mean and deviation are those
        that the first BatchNormalization among the nodes implies for what the first node reads.
    """
    channels = chain[0].affine.channels
    scale, shift = np.ones(channels), np.zeros(channels)
    mean, deviation, known = np.zeros(channels), np.ones(channels), False
    for member in chain:
        if member.normalizes and not known:
            known = True
            with np.errstate(all="ignore"):
                mean = np.where(scale != 0, (member.affine.mean - shift) / scale, 0.0)
                deviation = np.where(scale != 0, member.affine.deviation / np.abs(scale), 1.0)
        scale = member.affine.scale * scale
        shift = member.affine.scale * shift + member.affine.shift
    return Affine(scale, shift, mean, deviation)


def read_batchnorm(node: ir.Node, constants: Constants, opset: int) -> AffineNode:
    """The map of a BatchNormalization node.

    Args:
        node: the node.
        constants: of the model.
        opset: the version of the standard operators.

    Raises:
        Refused: it trains, or its parameters are not constant or not sound.
    """
    _require_inference(node, opset)
    scale, bias, mean, var = (
        _parameter(value, what, constants) for value, what in zip(node.inputs[1:5], _PARAMETERS, strict=True)
    )
    epsilon = node.attributes.get_float("epsilon", ONNX_EPSILON)
    _check_variance(var + epsilon)
    a, b = batchnorm_affine(scale, bias, mean, var, epsilon)
    for array, what in ((a, "scale / sqrt(variance + epsilon)"), (b, "bias - mean * scale / deviation")):
        bad = np.flatnonzero(~np.isfinite(array))
        if bad.size:
            raise Refused(f"{what} is {array[bad[0]]:g} in channel {bad[0]}, not finite")
    return AffineNode(node, 0, Affine(a, b, mean, np.sqrt(var + epsilon)), normalizes=True)


def _require_inference(node: ir.Node, opset: int) -> None:
    given = [attribute.name for attribute in node.attributes.values() if attribute.is_ref()]
    if given:
        raise Refused(f"its attribute '{given[0]}' is given by the function's caller")
    if opset < 7 and not node.attributes.get_int("is_test", 0):
        raise Refused("is_test = 0: it normalizes by the batch's own statistics")
    if node.attributes.get_int("training_mode", 0):
        raise Refused("training_mode = 1: it normalizes by the batch's own statistics")
    if not node.attributes.get_int("spatial", 1):
        raise Refused("spatial = 0: its statistics are per activation")
    for index, output in enumerate(node.outputs[1:], start=1):
        if output.uses() or output.is_graph_output():
            raise Refused(f"its output {index} ('{output.name}') is used")


def _parameter(value: ir.Value | None, what: str, constants: Constants) -> Array:
    assert value is not None
    array = constants.array(value)
    if array is None:
        raise Refused(f"its {what} '{value.name}' {constants.why_not(value)}")
    if array.ndim != 1:
        raise Refused(f"its {what} '{value.name}' has shape {array.shape}, not one value per channel")
    return array.astype(np.float64)


def _check_variance(total: Array) -> None:
    bad = np.flatnonzero(~(np.isfinite(total) & (total > 0)))
    if bad.size:
        raise Refused(f"variance + epsilon is {total[bad[0]]:g} in channel {bad[0]}, not above 0 and finite")


def read_arithmetic(node: ir.Node, constants: Constants, opset: int) -> AffineNode | None:
    """The map of a Mul, Add, Sub or Div by a constant per channel.

    Args:
        node: any node.
        constants: of the model.
        opset: the version of the standard operators.

    Returns:
        The map; None where the node computes none, or its rank and channels are not known.
    """
    if node.op_type not in ("Mul", "Add", "Sub", "Div") or node.domain or opset < BROADCASTING_OPSET:
        return None
    for index in (0, 1):
        source, other = node.inputs[index], node.inputs[1 - index]
        if source is None or other is None or not constants.is_constant(other):
            continue
        constant = _per_channel(other, source, constants)
        if constant is None:
            return None
        affine = _arithmetic(node.op_type, constant, source_first=index == 0)
        return None if affine is None else AffineNode(node, index, affine)
    return None


def _arithmetic(op_type: str, constant: Array, *, source_first: bool) -> Affine | None:
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    if op_type == "Mul":
        return Affine.plain(constant, zero)
    if op_type == "Add":
        return Affine.plain(one, constant)
    if op_type == "Sub":
        return Affine.plain(one, -constant) if source_first else Affine.plain(-one, constant)
    if not source_first or not np.all(constant):
        return None
    return Affine.plain(1 / constant, zero)


def _per_channel(value: ir.Value, source: ir.Value, constants: Constants) -> Array | None:
    """The constant as (C,), if it varies along axis 1 of x only and does not make x larger."""
    shape = source.shape
    if shape is None or len(shape) < 2 or not isinstance(shape[1], int):
        return None
    if value.shape is not None and len(value.shape) > len(shape):
        return None
    array = constants.array(value)
    if array is None or array.dtype.kind in "biuOSU" or array.ndim > len(shape):
        return None
    full = (1,) * (len(shape) - array.ndim) + array.shape  # aligned with (N, C, D1, ...)
    if any(size != 1 for axis, size in enumerate(full) if axis != 1) or full[1] not in (1, shape[1]):
        return None
    wide = array.astype(np.float64).reshape(-1)  # (C,) or (1,)
    return np.broadcast_to(wide, (shape[1],)).copy() if np.isfinite(wide).all() else None
