"""The normalization that a power of sums of squares stands for, in the terms of an operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir

from normdeploy.graph import intra_channel_lrn
from normdeploy.lrn import LRN, Convention, Region
from normdeploy.native_support import unsupported_reasons
from normdeploy.passes.lrn import axis_map as along
from normdeploy.passes.lrn.axis_map import Window
from normdeploy.passes.lrn.interpreter import Power
from normdeploy.passes.report import Refused

Target = Literal["portable", "ort-cpu", "tensorrt"]
"""What a model is optimized for."""

MINIMUM_OPSET = 7
"""Where elementwise operators began to broadcast, and AveragePool to count the padding."""

_MUST_TAKE = {"portable": ("onnxruntime", "tensorrt"), "tensorrt": ("tensorrt",), "ort-cpu": ()}
"""Whose native operator has to take an LRN for a target; for ort-cpu it is lowered in any case."""


@dataclass(frozen=True)
class Sums:
    """scale · Σ x² over windows + shift, and how far the windows reach along each axis of x."""

    windows: dict[int, tuple[int, int]]
    scale: float
    shift: float
    reduced: frozenset[int]


def sums(power: Power) -> Sums:
    """The windows of a power's base.

    Raises:
        Refused: it is not a sum over one box around each element.
    """
    base = power.base
    assert base is not None
    if len(base.terms) != 1:
        raise Refused("its window is not a box")
    (term,) = base.terms
    scale, windows, reduced = term.coefficient, {}, set()
    for dimension, axis_map in zip(base.dimensions, term.maps, strict=True):
        window: Window = along.window(axis_map, dimension.size)
        scale *= window.weight
        if len(dimension.axes) > 1:
            raise Refused("its sum has merged axes")
        for axis in dimension.axes:
            windows[axis] = (window.before, window.after)
            if window.reduction:
                reduced.add(axis)
    return Sums(windows, scale, base.shift, frozenset(reduced))


def specification(power: Power, x: ir.Value, opset: int, target: Target) -> LRN | None:
    """The normalization that x · base^−β is; None where it normalizes over more than a neighbourhood.

    Raises:
        Refused: no operator computes exactly this.
    """
    found = sums(power)
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


def _across(found: Sums, window: tuple[int, int], beta: float, x: ir.Value, target: Target) -> LRN:
    spec = _spec(found, window, beta, "across", "onnx", 1)
    reasons = _refusals(spec, x, target)
    if reasons:
        raise Refused(
            "; ".join(f"{runtime} has no LRN for it: {reason}" for runtime, reason in reasons.items())
        )
    return spec


def _refusals(spec: LRN, x: ir.Value, target: Target) -> dict[str, str]:
    assert x.shape is not None
    dtype = None if x.dtype is None else x.dtype.numpy().name
    found = unsupported_reasons(spec, len(x.shape), dtype)
    return {runtime: found[runtime] for runtime in _MUST_TAKE[target] if runtime in found}


def clip(spec: LRN, channels: int) -> LRN | None:
    """The same normalization with the smallest size that covers all channels; None if its size is smaller.

    A window of 2C − 1 around any of C channels holds them all, whatever lies beyond.
    """
    size = 2 * channels - 1
    before, after = spec.window
    if spec.size <= size or min(before, after) < channels - 1:
        return None
    alpha = attribute(spec.alpha_sum, size)
    return LRN(size, alpha, spec.beta, spec.k, "across", spec.convention)


def _within(found: Sums, window: tuple[int, int], beta: float, x: ir.Value, opset: int) -> LRN:
    assert x.shape is not None
    if x.dtype == ir.DataType.DOUBLE:
        raise Refused("the operator within a channel computes in float32, its input is float64")
    if opset < intra_channel_lrn.MINIMUM_OPSET:
        raise Refused(f"the operator within a channel needs opset {intra_channel_lrn.MINIMUM_OPSET} or newer")
    return _spec(found, window, beta, "within", "torch", len(x.shape) - 2)


def _spec(
    found: Sums, window: tuple[int, int], beta: float, region: Region, convention: Convention, axes: int
) -> LRN:
    """The normalization with that window, in the convention of the operator that is to compute it."""
    size = sum(window) + 1
    if size < 1:
        raise Refused(f"its window [{-window[0]}, {window[1]}] does not hold the element")
    alpha = attribute(found.scale, size**axes)
    spec = LRN(size, alpha, beta, found.shift, region, convention)
    if spec.window != window:
        reach, operators = (f"[{-before}, {after}]" for before, after in (window, spec.window))
        raise Refused(f"its window {reach} is not the operator's, {operators}")
    return spec


def attribute(scale: float, count: int) -> float:
    """α as an operator's float32 attribute, where α/count is the factor on the sum.

    Of the neighbouring float32 numbers the one whose quotient is `scale` in float32: so a graph that was
    made from an operator gives back that operator.
    """
    nearest = np.float32(scale * count)
    below, above = np.nextafter(nearest, np.float32(-np.inf)), np.nextafter(nearest, np.float32(np.inf))
    for alpha in (nearest, below, above):
        if np.float32(float(alpha) / count) == np.float32(scale):
            return float(alpha)
    return float(nearest)


def _extents(windows: dict[int, tuple[int, int]]) -> str:
    return " × ".join(str(before + after + 1) for _, (before, after) in sorted(windows.items()))
