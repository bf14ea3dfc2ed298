"""Resize and Upsample: what to interpolate along which axis, and how that errs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.interpolation import EXACT_PLACES, PLACES_OF_KERNELS, Axis, Interpolation
from normdeploy.reference.rounding_model import Deviation, Keywords, RoundingModel
from normdeploy.reference.signature import operator


def _upsampling(x: Array, scales: Array | Sequence[float] = (), *, mode: str = "nearest") -> Interpolation:
    """Of Upsample, and of Resize in opset 10: asymmetric coordinates that round down."""
    factors = [float(scale) for scale in scales]
    axes = _from_scales(x, range(x.ndim), factors, _regions(None, x.ndim))
    return Interpolation(axes, mode, "asymmetric")


def _resizing(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    **attributes: Any,
) -> Interpolation:
    """Of Resize from opset 11 on; the attributes are those of `resize`."""
    chosen = [axis % x.ndim for axis in (attributes.get("axes") or range(x.ndim))]
    coordinates = attributes.get("coordinate_transformation_mode", "half_pixel")
    regions = _regions(roi if coordinates == "tf_crop_and_resize" else None, len(chosen))
    if sizes is not None and sizes.size:
        policy = attributes.get("keep_aspect_ratio_policy", "stretch")
        axes = _from_sizes(x, chosen, sizes.tolist(), policy, regions)
    elif scales is not None and scales.size:
        axes = _from_scales(x, chosen, scales.tolist(), regions)
    else:
        raise ValueError("Resize needs scales or sizes")
    return Interpolation(
        axes,
        attributes.get("mode", "nearest"),
        coordinates,
        attributes.get("nearest_mode", "round_prefer_floor"),
        attributes.get("cubic_coeff_a", -0.75),
        bool(attributes.get("antialias", 0)),
        bool(attributes.get("exclude_outside", 0)),
        attributes.get("extrapolation_value", 0.0),
    )


def _exactly(x: Array, interpolation: Interpolation) -> Array:
    shape = list(x.shape)
    for item in interpolation.axes:
        shape[item.axis] = item.resized
    require_memory(shape)
    return interpolation.of(x, EXACT_PLACES)


_CUBIC_ULPS = 24.0
"""a · (d³ − 5 d² + 8 d − 4) has terms of up to 15, whose roundings the result keeps, for 16 weights."""


def _rounding(planned: Callable[..., Interpolation]) -> RoundingModel:
    """Runtimes compute places in float32, whatever the type of x.

    What they find there is what the result errs by: a share of the slope, or with mode nearest, another
    element. In units of float32's roundoff, so that the reference's own error is next to none.
    """

    def results(
        keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
    ) -> Sequence[Deviation | None]:
        interpolation = planned(*inputs, **keywords)
        exact = interpolation.of(inputs[0], EXACT_PLACES)
        errors = [np.abs(interpolation.of(inputs[0], kernel) - exact) for kernel in PLACES_OF_KERNELS]
        absolute = np.maximum(*errors) * 2.0**24
        if interpolation.mode == "cubic":  # the cubes cancel: an error of each weight, whatever its size
            absolute += _CUBIC_ULPS * replace(interpolation, mode="box").of(np.abs(inputs[0]), EXACT_PLACES)
        if interpolation.mode == "nearest" and not absolute.any():
            return (None,)
        return (Deviation(0.0 if interpolation.mode == "nearest" else 1.5, absolute),)

    def operands(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation | None]:
        """The errors of a weight, and of the products."""
        return (None if planned(*inputs, **keywords).mode == "nearest" else Deviation(1.5),)

    return RoundingModel(results, operands)


@operator("Upsample", since=7, rounding=_rounding(_upsampling))
def upsample_scales_attribute(x: Array, *, scales: Sequence[float], mode: str = "nearest") -> Array:
    """Upsample below opset 9, where the scales are an attribute."""
    return _exactly(x, _upsampling(x, scales=scales, mode=mode))


@operator("Upsample", since=9, rounding=_rounding(_upsampling))
@operator("Resize", since=10, rounding=_rounding(_upsampling))
def upsample(x: Array, scales: Array, *, mode: str = "nearest") -> Array:
    """x scaled up along each axis: Resize with asymmetric coordinates that round down."""
    return _exactly(x, _upsampling(x, scales, mode=mode))


@operator("Resize", since=11, rounding=_rounding(_resizing))
def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Array:
    """x interpolated to a new size, given by `scales` or `sizes` for `axes` (by default all of them).

    `roi` is read by the coordinate mode tf_crop_and_resize only.
    """
    interpolation = _resizing(
        x,
        roi,
        scales,
        sizes,
        antialias=antialias,
        axes=axes,
        coordinate_transformation_mode=coordinate_transformation_mode,
        cubic_coeff_a=cubic_coeff_a,
        exclude_outside=exclude_outside,
        extrapolation_value=extrapolation_value,
        keep_aspect_ratio_policy=keep_aspect_ratio_policy,
        mode=mode,
        nearest_mode=nearest_mode,
    )
    return _exactly(x, interpolation)


def _regions(roi: Array | None, count: int) -> list[tuple[float, float]]:
    if roi is None or not roi.size:
        return [(0.0, 1.0)] * count
    values = roi.tolist()
    return list(zip(values[:count], values[count:], strict=True))


def _from_scales(
    x: Array, axes: Sequence[int], scales: Sequence[float], regions: Sequence[tuple[float, float]]
) -> list[Axis]:
    """Sizes as the runtimes compute them, in float32: 10 · 0.7 makes 7, not the 6 of exact arithmetic."""
    resized = []
    for axis, scale, roi in zip(axes, scales, regions, strict=True):
        size = x.shape[axis]
        part = np.float32(roi[1]) - np.float32(roi[0])
        resized.append(
            Axis(axis, size, int(np.floor(np.float32(size) * part * np.float32(scale))), scale, roi)
        )
    return resized


def _from_sizes(
    x: Array,
    axes: Sequence[int],
    sizes: Sequence[int],
    policy: str,
    regions: Sequence[tuple[float, float]],
) -> list[Axis]:
    scales = [size / x.shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    if policy != "stretch":
        common = min(scales) if policy == "not_larger" else max(scales)
        scales = [common] * len(axes)
        sizes = [math.floor(common * x.shape[axis] + 0.5) for axis in axes]
    return [
        Axis(axis, x.shape[axis], size, scale, roi)
        for axis, size, scale, roi in zip(axes, sizes, scales, regions, strict=True)
    ]
