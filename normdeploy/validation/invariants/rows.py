"""Which axes of a model's inputs and outputs count rows, and batches made of chosen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class BatchAxis:
    """The axis of each input that counts rows.

    Args:
        axes: name of an input -> its axis; inputs that are not in it are the same for all rows.
        fixed: the number of rows that the model takes; None where it leaves that open.
    """

    axes: Mapping[str, int]
    fixed: int | None

    def count(self, inputs: Arrays) -> int:
        """How many rows a batch holds."""
        return min(int(inputs[name].shape[axis]) for name, axis in self.axes.items())

    def take(self, inputs: Arrays, rows: Sequence[int]) -> dict[str, Array]:
        """A batch of some rows of another one; a row may be taken more than once."""
        return {
            name: np.take(array, rows, axis=self.axes[name]) if name in self.axes else array
            for name, array in inputs.items()
        }


def batch_axes(inputs: Sequence[DeclaredInput]) -> list[BatchAxis]:
    """The axes that may count rows, the most likely first. What the model makes of them tells which do.

    These are the first axis, where all inputs have the same there, and each open size that has a name and
    stands at one axis of an input at most.

    Args:
        inputs: as the model declares them.
    """
    found = []
    if has_sample_axis(inputs):
        first = next((declared.dims[0] for declared in inputs if declared.dims), None)
        axes = {declared.name: 0 for declared in inputs if declared.dims}
        if axes:
            found.append(BatchAxis(axes, first if isinstance(first, int) else None))
    names = [dim for declared in inputs for dim in declared.dims or () if isinstance(dim, str)]
    for name in dict.fromkeys(names):
        places = [
            (declared.name, axis)
            for declared in inputs
            for axis, dim in enumerate(declared.dims or ())
            if dim == name
        ]
        axis = BatchAxis(dict(places), None)
        if len(axis.axes) == len(places) and axis not in found:
            found.append(axis)
    return found


def batch_of(samples: Sequence[Arrays], axis: BatchAxis, count: int) -> dict[str, Array]:
    """A batch of so many rows, different ones as far as possible.

    Args:
        samples: batches of any sizes. Rows of the first one's shape are taken, and where there are too few
            of them, the first with its elements moved round along its last axes, which keeps its values.
        axis: which axis counts rows.
        count: how many.
    """
    first = axis.take(samples[0], [0])
    rows = [
        row
        for sample in samples
        for index in range(min(axis.count(sample), count))
        if _same_form(row := axis.take(sample, [index]), first)
    ][:count]
    rows += [_moved(first, axis, steps) for steps in range(1, count - len(rows) + 1)]
    return {
        name: np.concatenate([row[name] for row in rows], axis=axis.axes[name])
        if name in axis.axes
        else array
        for name, array in first.items()
    }


def _same_form(left: Arrays, right: Arrays) -> bool:
    return all(left[name].shape == right[name].shape for name in right)


def _moved(row: Arrays, axis: BatchAxis, steps: int) -> dict[str, Array]:
    """A row with the elements of each input moved round by some steps."""
    return {
        name: np.roll(array.ravel(), steps).reshape(array.shape) if name in axis.axes else array
        for name, array in row.items()
    }


@dataclass(frozen=True)
class OutputRows:
    """Where the rows of an output lie.

    Args:
        axis: the axis that counts rows, each of them as many times in succession as it has entries; None
            for an output that is the same whichever rows the batch holds.
    """

    axis: int | None

    def split(self, array: Array, count: int) -> Array:
        """The output with an axis before all others that counts the batch's rows, `count` of them."""
        if self.axis is None:
            return np.broadcast_to(array, (count, *array.shape))
        moved = np.moveaxis(array, self.axis, 0)
        return moved.reshape(count, moved.shape[0] // count, *moved.shape[1:])

    def shape(self, whole: Sequence[int], rows: int, count: int) -> tuple[int, ...] | None:
        """The shape of an output for some rows, given that for a batch of `count`; None if it has none."""
        if self.axis is None:
            return tuple(whole)
        size = whole[self.axis]
        if size == 0 or size % count:
            return None
        return (*whole[: self.axis], size // count * rows, *whole[self.axis + 1 :])


def output_layouts(rank: int) -> list[OutputRows]:
    """Where an output's rows may lie: along each axis, or nowhere."""
    return [OutputRows(axis) for axis in (*range(rank), None)]
