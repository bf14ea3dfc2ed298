"""Cases of operators that interpolate, move or pick numbers."""

from __future__ import annotations

import numpy as np

from tests.reference.rounding.case import (
    Array,
    Case,
    Random,
    between,
    case,
    normal,
    numbers,
    pick,
    shape,
    whole,
)


@case("Resize")
def resize(random: Random) -> Case:
    sizes = (1, 3, *(int(s) for s in random.integers(4, 14, 2)))
    mode = pick(random, "nearest", "linear", "cubic")
    coordinates = pick(random, "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = pick(random, "round_prefer_floor", "floor", "ceil", "round_prefer_ceil")
    elif coordinates == "half_pixel" and random.random() < 0.5:
        attributes["antialias"] = 1
    if random.random() < 0.5:
        resized = whole(1, 3, *random.integers(1, 30, 2))
        return Case(lambda random: [numbers(random, *sizes), None, None, resized], attributes, opset=19)
    scales = np.array(
        [1, 1, *pick(random, random.uniform(0.5, 0.75, 2), random.uniform(1.3, 3, 2), [2.0, 2.0])], np.float32
    )
    return Case(lambda random: [numbers(random, *sizes), None, scales], attributes, opset=19)


@case("Upsample")
def upsample(random: Random) -> Case:
    """To another size: onnxruntime copies x where a scale near 1 keeps it."""
    sizes = (1, 3, *(int(s) for s in random.integers(4, 14, 2)))
    scales = np.array([1, 1, *pick(random, random.uniform(1.3, 3, 2), [2.0, 2.0])], np.float32)
    return Case(
        lambda random: [numbers(random, *sizes), scales], {"mode": pick(random, "nearest", "linear")}, opset=9
    )


@case("GridSample")
def grid_sample(random: Random) -> Case:
    h, w, oh, ow = (int(s) for s in random.integers(2, 12, 4))
    attributes = {
        "mode": pick(random, "linear", "nearest", "cubic"),
        "padding_mode": pick(random, "zeros", "border", "reflection"),
        "align_corners": int(random.integers(2)),
    }
    return Case(
        lambda random: [numbers(random, 2, 3, h, w), between(random, -1.1, 1.1, 2, oh, ow, 2)],
        attributes,
        opset=20,
    )


@case("AffineGrid")
def affine_grid(random: Random) -> Case:
    h, w = (int(s) for s in random.integers(2, 12, 2))  # onnxruntime divides by zero for 1
    return Case(
        lambda random: [normal(random, 2, 2, 3), whole(2, 3, h, w)],
        {"align_corners": int(random.integers(2))},
        opset=20,
    )


@case("RoiAlign")
def roi_align(random: Random) -> Case:
    size = int(random.integers(6, 20))
    attributes = {
        "mode": pick(random, "avg", "max"),
        "output_height": int(random.integers(1, 5)),
        "output_width": int(random.integers(1, 5)),
        "sampling_ratio": int(random.integers(1, 4)),
        "spatial_scale": float(pick(random, 1.0, 0.5)),
        "coordinate_transformation_mode": pick(random, "half_pixel", "output_half_pixel"),
    }  # fmt: skip

    def draw(random: Random) -> list[Array]:
        start = between(random, 0, size / 2, 5, 2)
        return [
            numbers(random, 2, 3, size, size),
            np.hstack([start, start + between(random, 1, size / 2, 5, 2)]),
            random.integers(0, 2, 5),
        ]

    return Case(draw, attributes, opset=16)


@case("Scatter", "ScatterElements")
def scatter_elements(random: Random, op_type: str) -> Case:
    sizes = shape(random, 2, 10)
    count = int(random.integers(1, 10))
    attributes = (
        {} if op_type == "Scatter" else {"reduction": pick(random, "none", "add", "add", "mul", "max", "min")}
    )

    def draw(random: Random) -> list[Array]:
        if attributes.get("reduction", "none") == "none":
            rows = min(count, sizes[0])
            indices = np.stack([random.permutation(sizes[0])[:rows] for _ in range(sizes[1])], axis=1)
        else:
            indices = random.integers(0, sizes[0], (count, sizes[1]))
        return [numbers(random, *sizes), indices, numbers(random, *indices.shape)]

    return Case(draw, attributes, opset=10 if op_type == "Scatter" else 18)


@case("ScatterND")
def scatter_nd(random: Random) -> Case:
    sizes, count = shape(random, 2, 10), int(random.integers(1, 8))
    reduction = pick(random, "none", "add", "mul", "max", "min")

    def draw(random: Random) -> list[Array]:
        rows = min(count, sizes[0]) if reduction == "none" else count
        chosen = (
            random.permutation(sizes[0])[:rows] if reduction == "none" else random.integers(0, sizes[0], rows)
        )
        return [numbers(random, *sizes), chosen[:, None], numbers(random, rows, sizes[1])]

    return Case(draw, {"reduction": reduction}, opset=18)
