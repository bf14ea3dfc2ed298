"""Interpolation along one axis after the other.

Each output element has a place in the input's coordinates and is a weighted sum of the input elements
around it, its taps: along each axis a pair (indices, weights) of shape (outputs, taps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normdeploy.dtypes import Array


@dataclass(frozen=True)
class Axis:
    """One axis to resize; roi is the (start, end) of the region in the input, 0 to 1."""

    axis: int
    size: int
    resized: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Arithmetic:
    """In which type places are computed, and whether a quotient is a product with the inverse."""

    dtype: type[np.floating[Any]]
    by_inverse: bool

    def quotient(self, x: Array, divisor: float, factor: float = 1.0) -> Array:
        """x · factor / divisor."""
        if self.by_inverse:
            return np.asarray(x * (self.dtype(factor) / self.dtype(divisor)))
        return np.asarray(x * self.dtype(factor) / self.dtype(divisor))


EXACT_PLACES = Arithmetic(np.float64, by_inverse=False)

PLACES_OF_KERNELS = (Arithmetic(np.float32, by_inverse=False), Arithmetic(np.float32, by_inverse=True))
"""How runtimes compute places."""

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@dataclass(frozen=True)
class Interpolation:
    """What Resize does with an x of one shape, and with which options; see `resize`."""

    axes: Sequence[Axis]
    mode: str
    coordinates: str
    nearest_mode: str = "floor"
    cubic: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False
    extrapolated: float = 0.0

    def of(self, x: Array, arithmetic: Arithmetic) -> Array:
        """x interpolated, with places that are computed in this arithmetic."""
        crops = self.coordinates == "tf_crop_and_resize"
        y, outside = x, np.zeros([1] * x.ndim, dtype=bool)
        for item in self.axes:
            if not crops and item.size == item.resized and item.scale == 1:
                continue
            places = _places(item, self.coordinates, arithmetic).astype(np.float64)
            along = [1] * x.ndim
            along[item.axis] = -1
            if crops:
                outside = outside | ((places < 0) | (places > item.size - 1)).reshape(along)
            if self.mode == "nearest":
                nearest = np.clip(_NEAREST[self.nearest_mode](places), 0, item.size - 1).astype(np.int64)
                y = np.take(y, nearest, axis=item.axis)
                continue
            kernel, radius = self.kernel()
            indices, weights = _taps(places, item, kernel, radius, self.antialias, self.exclude_outside)
            y = sum(
                (np.take(y, index, axis=item.axis) * weight.reshape(along))
                for index, weight in zip(indices.T, weights.T, strict=True)
            )
        if outside.any():
            y = np.where(outside, self.extrapolated, y)
        return np.asarray(y).astype(x.dtype, copy=False)

    def kernel(self) -> tuple[Callable[[Array], Array], int]:
        """The weights by distance, and how far they reach."""
        match self.mode:
            case "linear":
                return _triangle, 1
            case "cubic":
                return cubic_kernel(self.cubic), 2
            case "box":
                return _box, 2
        raise NotImplementedError(f"mode '{self.mode}'")


def _places(item: Axis, mode: str, arithmetic: Arithmetic = EXACT_PLACES) -> Array:
    """Where each output element lies in the input's coordinates: (outputs,)."""
    i = np.arange(item.resized, dtype=arithmetic.dtype)
    last = item.size - 1
    over = arithmetic.quotient
    match mode:
        case "half_pixel":
            return over(i + 0.5, item.scale) - 0.5
        case "half_pixel_symmetric":
            exact = item.scale * item.size
            return item.size / 2 * (1 - item.resized / exact) + over(i + 0.5, item.scale) - 0.5
        case "pytorch_half_pixel":
            return over(i + 0.5, item.scale) - 0.5 if item.resized > 1 else 0 * i
        case "align_corners":
            return over(i, item.resized - 1, last) if item.resized > 1 else 0 * i
        case "asymmetric":
            return over(i, item.scale)
        case "tf_half_pixel_for_nn":
            return over(i + 0.5, item.scale)
        case "tf_crop_and_resize":
            start, end = item.roi
            if item.resized > 1:
                return start * last + over(i, item.resized - 1, (end - start) * last)
            return 0 * i + 0.5 * (start + end) * last
    raise NotImplementedError(f"coordinate_transformation_mode '{mode}'")


def _taps(
    places: Array,
    item: Axis,
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


def _box(distance: Array) -> Array:
    return np.asarray(np.abs(distance) < 2, np.float64)


def cubic_kernel(a: float) -> Callable[[Array], Array]:
    """Keys' cubic convolution kernel."""

    def kernel(distance: Array) -> Array:
        d = np.abs(distance)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * (d**3 - 5 * d**2 + 8 * d - 4)
        return np.asarray(np.where(d <= 1, near, np.where(d < 2, far, 0.0)))

    return kernel
