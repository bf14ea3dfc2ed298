"""From a formula x · (constant + scale · Σ x²)^−β to the LRN operator that computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.choices import Target
from normdeploy.graph.intra_channel_lrn import MINIMUM_OPSET
from normdeploy.lrn import LRN, Convention, Region
from normdeploy.native_support import unsupported_reasons
from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.interpreter import Power
from normdeploy.passes.report import Refused

_REQUIRED_RUNTIMES = {"portable": ("onnxruntime", "tensorrt"), "tensorrt": ("tensorrt",), "ort-cpu": ()}
"""Whose native operator has to take an LRN for a target; for ort-cpu it is lowered in any case."""


@dataclass(frozen=True)
class BoxSum:
    """constant + scale · Σ x² over one box around each element.

    Args:
        windows: how far the box reaches along each axis of x, (before, after).
        scale: the factor on the plain sum of squares.
        constant: what is added.
        reduced: the axes that are summed whole, at one position.
    """

    windows: dict[int, tuple[int, int]]
    scale: float
    constant: float
    reduced: frozenset[int]


def box_sum(power: Power) -> BoxSum:
    """The base of a power.

    Raises:
        Refused: it is not a sum over one box around each element.
    """
    base = power.base
    assert base is not None
    if len(base.terms) != 1:
        raise Refused("its window is not a box")
    (term,) = base.terms
    scale, windows, reduced = term.coefficient, {}, set()
    for dimension, along in zip(base.dimensions, term.maps, strict=True):
        window = axis_map.window(along, dimension.size)
        scale *= window.weight
        if len(dimension.axes) > 1:
            raise Refused("its sum has merged axes")
        for axis in dimension.axes:
            windows[axis] = (window.before, window.after)
            if window.reduction:
                reduced.add(axis)
    return BoxSum(windows, scale, base.constant, frozenset(reduced))


def specification(power: Power, x: ir.Value, opset: int, target: Target) -> LRN | None:
    """The normalization that x · base^−β is.

    Args:
        power: x · base^−β.
        x: the tensor that it normalizes.
        opset: the model's version of the standard operators.
        target: what the model is optimized for.

    Returns:
        The normalization; None where it is over more than a neighbourhood.

    Raises:
        Refused: no operator computes exactly this.
    """
    found = box_sum(power)
    assert x.shape is not None
    rank = len(x.shape)
    wide = {axis: window for axis, window in found.windows.items() if window != (0, 0)}
    if found.reduced - {1}:
        return None  # over whole maps, batches, ...: a layer normalization and its like
    if x.dtype is None:
        raise Refused("the type of its input is not known")
    if rank < 3:
        raise Refused(f"its input has rank {rank}: LRN takes 3 or more")
    spatial = {axis for axis in range(2, rank) if x.shape[axis] != 1}
    reached = {axis for axis in wide if x.shape[axis] != 1}  # beyond a length of 1 there is nothing
    if reached <= {1}:
        return _across(found, wide.get(1, (0, 0)), -power.exponent, x, target)
    if reached != spatial:
        raise Refused(
            f"its window spans the axes {sorted(reached)}: neither the channels nor all spatial axes"
        )
    if len({wide[axis] for axis in spatial}) > 1:
        raise Refused(f"its window is not a square: {_extents(wide)}")
    return _within(found, wide[min(spatial)], -power.exponent, x, opset)


def _across(found: BoxSum, window: tuple[int, int], beta: float, x: ir.Value, target: Target) -> LRN:
    spec = _spec(found, window, beta, "across", "onnx", 1)
    reasons = _why_refused(spec, x, target)
    if reasons:
        raise Refused(
            "; ".join(f"{runtime} has no LRN for it: {reason}" for runtime, reason in reasons.items())
        )
    return spec


def _why_refused(spec: LRN, x: ir.Value, target: Target) -> dict[str, str]:
    assert x.shape is not None
    dtype = None if x.dtype is None else x.dtype.numpy().name
    found = unsupported_reasons(spec, len(x.shape), dtype)
    return {runtime: found[runtime] for runtime in _REQUIRED_RUNTIMES[target] if runtime in found}


def clip(spec: LRN, channels: int) -> LRN | None:
    """The same normalization with the smallest size that covers all channels.

    A window of 2C − 1 around any of C channels holds them all, whatever lies beyond.

    Args:
        spec: a normalization across channels.
        channels: C.

    Returns:
        The normalization; None if no smaller size does what this one does.
    """
    size = 2 * channels - 1
    before, after = spec.window
    if spec.size <= size or min(before, after) < channels - 1:
        return None
    alpha = alpha_attribute(spec.alpha_sum, size)
    return LRN(size, alpha, spec.beta, spec.k, "across", spec.convention)


def _within(found: BoxSum, window: tuple[int, int], beta: float, x: ir.Value, opset: int) -> LRN:
    assert x.shape is not None
    if x.dtype == ir.DataType.DOUBLE:
        raise Refused("the operator within a channel computes in float32, its input is float64")
    if opset < MINIMUM_OPSET:
        raise Refused(f"the operator within a channel needs opset {MINIMUM_OPSET} or newer")
    return _spec(found, window, beta, "within", "torch", len(x.shape) - 2)


def _spec(
    found: BoxSum, window: tuple[int, int], beta: float, region: Region, convention: Convention, axes: int
) -> LRN:
    """The normalization with that window, in the convention of the operator that is to compute it."""
    size = sum(window) + 1
    if size < 1:
        raise Refused(f"its window [{-window[0]}, {window[1]}] does not hold the element")
    alpha = alpha_attribute(found.scale, size**axes)
    spec = LRN(size, alpha, beta, found.constant, region, convention)
    if spec.window != window:
        reach, operators = (f"[{-before}, {after}]" for before, after in (window, spec.window))
        raise Refused(f"its window {reach} is not the operator's, {operators}")
    return spec


def alpha_attribute(scale: float, count: int) -> float:
    """α as an operator's float32 attribute, where α/count is the factor on the sum.

    If `scale` is the float32 number next to the α/count of an operator, the result divided by `count` is next
    to `scale` again: so a graph that was made from an operator gives an operator from which the same graph
    is made.

    Args:
        scale: that factor.
        count: the number of elements in the window.
    """
    return float(np.float32(scale * count))


def _extents(windows: dict[int, tuple[int, int]]) -> str:
    return " × ".join(str(before + after + 1) for _, (before, after) in sorted(windows.items()))
