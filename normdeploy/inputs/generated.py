"""Random inputs that respect what a model declares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import InputError
from normdeploy.graph.shapes import MOST_AXES, format_dims
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.resources import physical_memory

_MAGNITUDES = (1.0, 8.0, 64.0)
"""Standard deviations of floating inputs, in turn. LRN's denominator k + α·sum leaves k only where squares
reach k/α. Pixel values are of the order of 64, where AlexNet's α·sum (n = 5, α = 1e-4) is 2 on average, as
large as its k: a window of 7 for 5 changes outputs by 9 % (the median); at 8 it does by 0.3 %, and at 1 by
5e-5, next to nothing. At 1 layers are judged that are meant for such numbers, behind a BatchNorm."""

_MAGNITUDES_OF_SHORT_TYPES = (1.0, 8.0)
"""Those of types of 16 bits and fewer. At 64 the sum of five squares is 20480 on average and exceeds the
largest float16, 65504, in one window of 150, which is no defect of the deployment. At 8 none comes near."""

_EXAMPLE_SIZE = 224
"""The size in the advice for an axis whose size is not known; most images that networks take have it."""


def resolved_shape(declared: DeclaredInput, batch_names: frozenset[str]) -> tuple[int, ...]:
    """A shape without unknown sizes: 1 for a batch.

    Args:
        declared: an input.
        batch_names: names of dimensions that stand first in some input (see `batch_names`).

    Raises:
        InputError: the size of another dimension is unknown, or the tensor does not fit into memory.
    """
    dims = declared.dims or (None, 3, None, None)
    sizes = [dim if isinstance(dim, int) else _EXAMPLE_SIZE if axis else 1 for axis, dim in enumerate(dims)]
    example = "x".join(map(str, sizes))
    advice = f"pass one, such as  --shape {declared.name}:{example}"
    if declared.dims is None:
        raise InputError(f"input '{declared.name}' has no declared shape: {advice}")
    if len(declared.dims) > MOST_AXES:
        raise InputError(f"input '{declared.name}' has {len(declared.dims)} axes: {MOST_AXES} is the limit")
    shape = []
    for axis, dim in enumerate(declared.dims):
        if isinstance(dim, int):
            shape.append(dim)
        elif axis == 0 or dim in batch_names:
            shape.append(1)
        else:
            raise InputError(
                f"input '{declared.name}' is declared as {format_dims(declared.dims)}, "
                f"and the size of axis {axis} is not known: {advice}"
            )
    nbytes = math.prod(shape) * 8
    if nbytes > physical_memory() / 4:
        raise InputError(
            f"input '{declared.name}' of shape {format_dims(shape)} would take {nbytes / 2**30:.4g} GiB "
            f"in float64, too much for the {physical_memory() / 2**30:.4g} GiB of this machine: "
            f"pass a smaller --shape"
        )
    return tuple(shape)


def batch_names(inputs: Sequence[DeclaredInput]) -> frozenset[str]:
    """The names of dimensions that stand first in an input.

    Args:
        inputs: as the model declares them.
    """
    return frozenset(
        declared.dims[0] for declared in inputs if declared.dims and isinstance(declared.dims[0], str)
    )


def random_array(
    declared: DeclaredInput, shape: tuple[int, ...], index: int, rng: np.random.Generator
) -> Array:
    """An array that is never all zeros.

    Floating types are normal, with standard deviations that vary with the sample's index; 8-bit integers
    have their whole range, as pixels and quantized values do; wider ones, mostly indices and lengths, are
    1 to 9; booleans are even odds.

    Args:
        declared: the input.
        shape: of the array (see `resolved_shape`).
        index: the sample's number.
        rng: draws the numbers.

    Raises:
        InputError: strings, which nobody can guess, or an array that takes more memory than is left.
    """
    dtype = declared.dtype
    try:
        require_memory(shape, dtype.itemsize)
    except MemoryError as error:
        raise InputError(f"input '{declared.name}': {error}; or pass a smaller --shape") from error
    if is_floating(dtype):
        magnitudes = _MAGNITUDES if dtype.itemsize >= 4 else _MAGNITUDES_OF_SHORT_TYPES
        wide = rng.standard_normal(shape, dtype=np.float64 if dtype.itemsize == 8 else np.float32)
        wide *= magnitudes[index % len(magnitudes)]
        return wide.astype(dtype, copy=False)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    if dtype.kind in "iu":
        return rng.integers(1, 10, shape).astype(dtype)
    raise InputError(f"input '{declared.name}' is of type {_type_name(dtype)}: give it with --data")


def _type_name(dtype: np.dtype[Any]) -> str:
    return "string" if dtype.kind == "O" else dtype.name
