"""The corners of what a model leaves open: inputs of the smallest, the largest and odd sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.ranges import Range
from normdeploy.validation.invariants.rows import BatchAxis

Arrays = Mapping[str, Array]
Place = tuple[str, int]
"""An input's name and an axis."""

Kind = Literal["smallest", "largest", "odd"]


@dataclass(frozen=True)
class SizeRange:
    """The sizes that one open dimension is tried with.

    Args:
        smallest, largest: of the range.
        odd: an odd size within it, or one of the two.
    """

    smallest: int
    largest: int
    odd: int


@dataclass(frozen=True)
class Corner:
    """Inputs of one corner."""

    inputs: Arrays

    def __str__(self) -> str:
        return ", ".join(f"{name} {format_dims(array.shape)}" for name, array in self.inputs.items())


def corners(
    declared: Sequence[DeclaredInput],
    sample: Arrays,
    batch: BatchAxis | None,
    rows: int,
    ranges: Mapping[str, Range],
    seen: Arrays,
) -> list[Corner]:
    """Inputs with all open dimensions at their smallest, at their largest and at odd sizes, and with the
    first at one end and the others at the other; none twice.

    Args:
        declared: the inputs as the model declares them, open dimensions included.
        sample: of the usual sizes. Its elements fill the others: cut off, or repeated from the start.
        batch: the axis that counts rows, if any.
        rows: the largest number of rows.
        ranges: of the shapes of inputs for which a user gives them. Elsewhere an open dimension of the usual
            size s is tried with s/2 and with the next odd size above s.
        seen: inputs of shapes that need not be tried.
    """
    places = _open_dimensions(declared, sample, batch)
    if not places:
        return []
    sizes = {key: _sizes(found, sample, batch, rows, ranges) for key, found in places.items()}
    chosen: list[list[int]] = [
        [size.smallest for size in sizes.values()],
        [size.largest for size in sizes.values()],
        [size.odd for size in sizes.values()],
        [size.largest if index else size.smallest for index, size in enumerate(sizes.values())],
        [size.smallest if index else size.largest for index, size in enumerate(sizes.values())],
    ]
    distinct = dict.fromkeys(map(tuple, chosen))
    distinct.pop(tuple(seen[found[0][0]].shape[found[0][1]] for found in places.values()), None)
    return [Corner(_resized(sample, dict(_by_place(places, corner)))) for corner in distinct]


def _open_dimensions(
    declared: Sequence[DeclaredInput], sample: Arrays, batch: BatchAxis | None
) -> dict[str, list[Place]]:
    """The places of each open dimension; those without a name are each one of their own, a batch aside."""
    found: dict[str, list[Place]] = {}
    for item in declared:
        dims = item.dims if item.dims is not None else (None,) * sample[item.name].ndim
        for axis, dim in enumerate(dims):
            if isinstance(dim, int):
                continue
            counts_rows = batch is not None and batch.axes.get(item.name) == axis
            key = "rows" if counts_rows else f"named {dim}" if dim else f"{item.name}:{axis}"
            found.setdefault(key, []).append((item.name, axis))
    return found


def _sizes(
    places: Sequence[Place],
    sample: Arrays,
    batch: BatchAxis | None,
    rows: int,
    ranges: Mapping[str, Range],
) -> SizeRange:
    name, axis = places[0]
    for given, where in places:
        if given in ranges:
            smallest, largest = int(ranges[given].min[where]), int(ranges[given].max[where])
            return SizeRange(smallest, largest, _odd_between(smallest, largest))
    usual = sample[name].shape[axis]
    if batch is not None and batch.axes.get(name) == axis:
        return SizeRange(1, rows, rows - (rows + 1) % 2)
    larger = usual + 1 + usual % 2
    return SizeRange(max(1, usual // 2), larger, larger)


def _odd_between(smallest: int, largest: int) -> int:
    """An odd size near the middle; the smallest where there is none."""
    odd = (smallest + largest) // 2 | 1
    return odd if odd <= largest else smallest


def _by_place(places: Mapping[str, Sequence[Place]], sizes: Sequence[int]) -> Iterator[tuple[Place, int]]:
    for found, size in zip(places.values(), sizes, strict=True):
        yield from ((place, size) for place in found)


def _resized(sample: Arrays, sizes: Mapping[Place, int]) -> dict[str, Array]:
    resized = dict(sample)
    for (name, axis), size in sizes.items():
        array = resized[name]
        if array.shape[axis] > 0:
            resized[name] = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return resized
