"""Operators of detection and of warping: boxes that overlap, images read at a grid of places."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget, require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.interpolation import cubic_kernel
from normdeploy.reference.rounding_model import EXACT, Deviation, Keywords, RoundingModel
from normdeploy.reference.signature import operator


@operator("NonMaxSuppression", since=10, rounding=EXACT)
def non_max_suppression(
    boxes: Array,
    scores: Array,
    max_output_boxes_per_class: Array | None = None,
    iou_threshold: Array | None = None,
    score_threshold: Array | None = None,
    *,
    center_point_box: int = 0,
) -> Array:
    """The boxes of each class that no better one overlaps: rows of (batch, class, box), the best first.

    Args:
        boxes: (batch, boxes, 4): two opposite corners (y, x, y, x), or (x, y, width, height) from the centre.
        scores: (batch, classes, boxes).
        max_output_boxes_per_class: none by default.
        iou_threshold: the share of the union above which an intersection is an overlap.
        score_threshold: only better boxes are looked at; without one, all.
        center_point_box: the form of the boxes.
    """
    limit = 0 if max_output_boxes_per_class is None else int(max_output_boxes_per_class.item())
    overlap = 0.0 if iou_threshold is None else float(iou_threshold.item())
    low, high = _corners(boxes, bool(center_point_box))
    rows = []
    for batch, kind in itertools.product(range(scores.shape[0]), range(scores.shape[1])):
        check_budget()
        ranked = np.argsort(-scores[batch, kind], kind="stable")
        if score_threshold is not None:
            ranked = ranked[scores[batch, kind, ranked] > score_threshold.item()]
        chosen: list[int] = []
        while ranked.size and len(chosen) < limit:
            best, ranked = int(ranked[0]), ranked[1:]
            chosen.append(best)
            ranked = ranked[~_overlaps(low[batch], high[batch], best, ranked, overlap)]
        rows += [(batch, kind, box) for box in chosen]
    return np.asarray(rows, np.int64).reshape(-1, 3)


def _corners(boxes: Array, centred: bool) -> tuple[Array, Array]:
    """The lower and the upper corner of each box, (batch, boxes, 2) each."""
    if centred:
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        return middle - half, middle + half
    first, second = boxes[..., :2], boxes[..., 2:]
    return np.minimum(first, second), np.maximum(first, second)


def _overlaps(low: Array, high: Array, best: int, others: Array, threshold: float) -> Array:
    """Whether each of the others shares more than the threshold of its union with the best; (others,)."""
    shared = np.minimum(high[best], high[others]) - np.maximum(low[best], low[others])
    intersection = np.prod(np.maximum(shared, 0), axis=-1)
    area = np.prod(high - low, axis=-1)
    union = area[best] + area[others] - intersection
    return np.asarray((intersection > 0) & (intersection > threshold * union))


_Taps = Sequence[tuple[Array, Array]]
"""Along one axis: the indices of an element to read at each place, and the weight it gets there."""


def _grid_operands(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    """A weight, and a place: x + 1 is rounded before it becomes a place."""
    return (Deviation(1.0), Deviation(1.0, 1.0))


_ERRORS_OF_CUBIC_WEIGHTS = (7.0, 1.5, 1.5, 7.0)
"""Absolute, in u: polynomials, whose terms cancel. Those of the outer ones are up to 6, and Horner's scheme
errs by 12 u at most, at a distance of 2."""


def _grid_results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """What a kernel adds, and in cubic mode the weights, whose errors are the same however small they are."""
    x, grid = inputs
    if keywords.get("mode") not in ("cubic", "bicubic"):
        return (Deviation(1.5),)
    taps = _taps(x, grid, keywords.get("align_corners", 0), "cubic", keywords.get("padding_mode", "zeros"))
    squares = np.zeros(outputs[0].shape)
    for axis, along in enumerate(taps):
        erring = [
            (index, np.full_like(weight, error))
            for (index, weight), error in zip(along, _ERRORS_OF_CUBIC_WEIGHTS, strict=True)
        ]
        squares += _read(np.square(x), grid, [*taps[:axis], erring, *taps[axis + 1 :]], _squared)
    return (Deviation(1.5, np.sqrt(squares)),)


def _product(weights: Sequence[Array]) -> Array:
    return np.asarray(math.prod(weights))


def _squared(weights: Sequence[Array]) -> Array:
    return np.square(_product(weights))


_GRID_ROUNDING = RoundingModel(_grid_results, _grid_operands)


@operator("GridSample", since=16, rounding=_GRID_ROUNDING)
def grid_sample_2d(
    x: Array, grid: Array, *, align_corners: int = 0, mode: str = "bilinear", padding_mode: str = "zeros"
) -> Array:
    """GridSample of opset 16, whose modes are called bilinear, nearest and bicubic."""
    return grid_sample(
        x, grid, align_corners=align_corners, mode=mode.removeprefix("bi"), padding_mode=padding_mode
    )


@operator("GridSample", since=20, rounding=_GRID_ROUNDING)
def grid_sample(
    x: Array, grid: Array, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Array:
    """x read at places of a grid: (N, C, *sizes), (N, *outputs, rank) -> (N, C, *outputs).

    A place is given by its last axis first, from −1 to 1: the centres of the outermost elements with
    align_corners, else their outer edges. Outside are zeros, the element at the border, or reflections.
    """
    require_memory((*x.shape[:2], *grid.shape[1:-1]))
    return _read(x, grid, _taps(x, grid, align_corners, mode, padding_mode), _product)


def _taps(x: Array, grid: Array, align_corners: int, mode: str, padding_mode: str) -> Sequence[_Taps]:
    """What is read along each axis of the image."""
    sizes = x.shape[2:]
    pad = _padding(padding_mode, bool(align_corners))
    return [
        _taps_along(size, _place(grid[..., rank], size, bool(align_corners)), mode, pad)
        for rank, size in enumerate(reversed(sizes))
    ][::-1]


def _read(x: Array, grid: Array, taps: Sequence[_Taps], weigh: Callable[[Sequence[Array]], Array]) -> Array:
    """The sum of the elements that are read, each times what `weigh` makes of its weights along the axes."""
    sizes = x.shape[2:]
    batch = np.arange(x.shape[0]).reshape(-1, *[1] * (grid.ndim - 2))
    y = np.zeros((x.shape[0], *grid.shape[1:-1], x.shape[1]))
    for chosen in itertools.product(*taps):
        weight = weigh([weight for _, weight in chosen])
        inside = np.logical_and.reduce(
            [(index >= 0) & (index < size) for (index, _), size in zip(chosen, sizes, strict=True)]
        )
        places = tuple(np.clip(index, 0, size - 1) for (index, _), size in zip(chosen, sizes, strict=True))
        index: tuple[Any, ...] = (batch, slice(None), *places)
        read = x[index]  # (N, *outputs, C)
        y += np.where(inside, weight, 0.0)[..., None] * np.where(inside[..., None], read, 0.0)
    return np.moveaxis(y, -1, 1)


def _place(grid: Array, size: int, align_corners: bool) -> Array:
    """From [−1, 1] to indices along an axis."""
    return (grid + 1) / 2 * (size - 1) if align_corners else ((grid + 1) * size - 1) / 2


def _padding(padding_mode: str, align_corners: bool) -> Callable[[Array, int], Array]:
    """What moves places outside an axis to the element that stands there; zeros leaves them outside."""

    def border(places: Array, size: int) -> Array:
        return np.clip(places, 0, size - 1)

    def reflection(places: Array, size: int) -> Array:
        low, length = (0.0, size - 1) if align_corners else (-0.5, size)
        if length == 0:
            return np.zeros_like(places)
        distance = np.mod(places - low, 2 * length)
        return border(low + np.minimum(distance, 2 * length - distance), size)

    known: dict[str, Callable[[Array, int], Array]] = {
        "zeros": lambda places, size: places,
        "border": border,
        "reflection": reflection,
    }
    if padding_mode not in known:
        raise NotImplementedError(f"padding_mode '{padding_mode}'")
    return known[padding_mode]


def _taps_along(size: int, places: Array, mode: str, pad: Callable[[Array, int], Array]) -> _Taps:
    if mode == "nearest":
        return [(_index(np.rint(pad(places, size))), np.ones_like(places))]
    if mode == "linear":
        places = pad(places, size)
        base = np.floor(places)
        return [(_index(base), 1 - (places - base)), (_index(base + 1), places - base)]
    if mode == "cubic":
        base, kernel = np.floor(places), cubic_kernel(-0.75)
        return [
            (_index(np.rint(pad(base + offset, size))), kernel(places - base - offset))
            for offset in (-1, 0, 1, 2)
        ]
    raise NotImplementedError(f"mode '{mode}'")


def _index(places: Array) -> Array:
    """Whole places as integers; NaN, and what lies too far away for one, is outside."""
    limited: Array = np.clip(places, -(2.0**31), 2.0**31)
    return np.nan_to_num(limited, nan=-1.0).astype(np.int64)
