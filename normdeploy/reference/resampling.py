"""Resize and Upsample: interpolation along one axis after the other.

Each output element has a place in the input's coordinates and is a weighted sum of the input elements
around it, its taps: along each axis a pair (indices, weights) of shape (outputs, taps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import FUNCTION
from normdeploy.reference.signature import operator


@dataclass(frozen=True)
class _Axis:
    """One axis to resize; roi is the (start, end) of the region in the input, 0 to 1."""

    axis: int
    size: int
    resized: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@operator("Upsample", since=7, rounding=FUNCTION)
def upsample_scales_attribute(x: Array, *, scales: Sequence[float], mode: str = "nearest") -> Array:
    """Upsample below opset 9, where the scales are an attribute."""
    return upsample(x, np.asarray(scales), mode=mode)


@operator("Upsample", since=9, rounding=FUNCTION)
def upsample(x: Array, scales: Array, *, mode: str = "nearest") -> Array:
    """x scaled up along each axis: Resize with asymmetric coordinates that round down."""
    return resize(
        x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


@operator("Resize", since=10, rounding=FUNCTION)
def resize_asymmetric(x: Array, scales: Array, *, mode: str = "nearest") -> Array:
    """Resize of opset 10, which is Upsample."""
    return upsample(x, scales, mode=mode)


@operator("Resize", since=11, rounding=FUNCTION)
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
    chosen = [axis % x.ndim for axis in (axes if axes is not None else range(x.ndim))]
    crops = coordinate_transformation_mode == "tf_crop_and_resize"
    regions = _regions(roi if crops else None, len(chosen))
    if sizes is not None and sizes.size:
        resized = _from_sizes(x, chosen, sizes.tolist(), keep_aspect_ratio_policy, regions)
    elif scales is not None and scales.size:
        resized = _from_scales(x, chosen, scales.tolist(), regions)
    else:
        raise ValueError("Resize needs scales or sizes")
    shape = list(x.shape)
    for item in resized:
        shape[item.axis] = item.resized
    require_memory(shape)

    y, outside = x, np.zeros([1] * x.ndim, dtype=bool)
    for item in resized:
        if not crops and item.size == item.resized and item.scale == 1:
            continue
        places = _places(item, coordinate_transformation_mode)
        along = [1] * x.ndim
        along[item.axis] = -1
        if crops:
            outside = outside | ((places < 0) | (places > item.size - 1)).reshape(along)
        if mode == "nearest":
            nearest = np.clip(_NEAREST[nearest_mode](places), 0, item.size - 1).astype(np.int64)
            y = np.take(y, nearest, axis=item.axis)
            continue
        kernel, radius = (_triangle, 1) if mode == "linear" else (cubic_kernel(cubic_coeff_a), 2)
        indices, weights = _taps(places, item, kernel, radius, bool(antialias), bool(exclude_outside))
        y = sum(
            (np.take(y, index, axis=item.axis) * weight.reshape(along))
            for index, weight in zip(indices.T, weights.T, strict=True)
        )
    if outside.any():
        y = np.where(outside, extrapolation_value, y)
    return np.asarray(y).astype(x.dtype, copy=False)


def _regions(roi: Array | None, count: int) -> list[tuple[float, float]]:
    if roi is None or not roi.size:
        return [(0.0, 1.0)] * count
    values = roi.tolist()
    return list(zip(values[:count], values[count:], strict=True))


def _from_scales(
    x: Array, axes: Sequence[int], scales: Sequence[float], regions: Sequence[tuple[float, float]]
) -> list[_Axis]:
    """Sizes as the runtimes compute them, in float32: 10 · 0.7 makes 7, not the 6 of exact arithmetic."""
    resized = []
    for axis, scale, roi in zip(axes, scales, regions, strict=True):
        size = x.shape[axis]
        part = np.float32(roi[1]) - np.float32(roi[0])
        resized.append(
            _Axis(axis, size, int(np.floor(np.float32(size) * part * np.float32(scale))), scale, roi)
        )
    return resized


def _from_sizes(
    x: Array,
    axes: Sequence[int],
    sizes: Sequence[int],
    policy: str,
    regions: Sequence[tuple[float, float]],
) -> list[_Axis]:
    scales = [size / x.shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    if policy != "stretch":
        common = min(scales) if policy == "not_larger" else max(scales)
        scales = [common] * len(axes)
        sizes = [math.floor(common * x.shape[axis] + 0.5) for axis in axes]
    return [
        _Axis(axis, x.shape[axis], size, scale, roi)
        for axis, size, scale, roi in zip(axes, sizes, scales, regions, strict=True)
    ]


def _places(item: _Axis, mode: str) -> Array:
    """Where each output element lies in the input's coordinates: (outputs,)."""
    i = np.arange(item.resized, dtype=np.float64)
    last = item.size - 1
    match mode:
        case "half_pixel":
            return (i + 0.5) / item.scale - 0.5
        case "half_pixel_symmetric":
            exact = item.scale * item.size
            return item.size / 2 * (1 - item.resized / exact) + (i + 0.5) / item.scale - 0.5
        case "pytorch_half_pixel":
            return (i + 0.5) / item.scale - 0.5 if item.resized > 1 else 0 * i
        case "align_corners":
            return i * last / (item.resized - 1) if item.resized > 1 else 0 * i
        case "asymmetric":
            return i / item.scale
        case "tf_half_pixel_for_nn":
            return (i + 0.5) / item.scale
        case "tf_crop_and_resize":
            start, end = item.roi
            if item.resized > 1:
                return start * last + i * (end - start) * last / (item.resized - 1)
            return 0 * i + 0.5 * (start + end) * last
    raise NotImplementedError(f"coordinate_transformation_mode '{mode}'")


def _taps(
    places: Array,
    item: _Axis,
    kernel: Callable[[Array], Array],
    radius: int,
    antialias: bool,
    exclude_outside: bool,
) -> tuple[Array, Array]:
    """Indices and weights, (outputs, taps) each; antialias widens the kernel when it shrinks an axis."""
    stretch = min(item.scale, 1.0) if antialias else 1.0
    reach = math.ceil(radius / stretch)
    offsets = np.arange(1 - reach, reach + 1)
    base = np.floor(places)[:, None]
    weights = kernel((offsets - (places[:, None] - base)) * stretch)
    indices = (base + offsets).astype(np.int64)
    if exclude_outside:
        weights = np.where((indices >= 0) & (indices < item.size), weights, 0.0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.clip(indices, 0, item.size - 1), weights


def _triangle(distance: Array) -> Array:
    return np.asarray(np.clip(1 - np.abs(distance), 0, 1))


def cubic_kernel(a: float) -> Callable[[Array], Array]:
    """Keys' cubic convolution kernel."""

    def kernel(distance: Array) -> Array:
        d = np.abs(distance)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * (d**3 - 5 * d**2 + 8 * d - 4)
        return np.asarray(np.where(d <= 1, near, np.where(d < 2, far, 0.0)))

    return kernel
