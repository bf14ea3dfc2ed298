"""Shapes with sizes that a model leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

Dim = int | str | None
"""A size, the name of an unknown one, or an unknown one without a name."""

MOST_AXES = 31
"""Of a tensor that is stored or given: NumPy 1 has 32 at most, one of which may count samples."""

SLICE_TO_END = 2**31 - 1
"""An end of a Slice that is as large means: to the end, however long the axis is."""


def dims_of(shape: Iterable[int | ir.SymbolicDim]) -> tuple[Dim, ...]:
    """The sizes of a shape of onnx_ir."""
    return tuple(dim if isinstance(dim, int) else (dim.value or None) for dim in shape)


def format_dims(dims: Sequence[Dim] | None) -> str:
    """A shape as users read it: [N, 3, 224, 224]."""
    if dims is None:
        return "of unknown rank"
    return f"[{', '.join('?' if dim is None else str(dim) for dim in dims)}]"


def fits(dims: Sequence[Dim], shape: Sequence[int]) -> bool:
    """Whether a shape has the rank and the known sizes; an unknown one takes any size."""
    return len(dims) == len(shape) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(dims, shape, strict=True)
    )
