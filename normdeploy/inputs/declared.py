"""The inputs that a model declares, and the shapes that a user gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.errors import InputError, ModelError, UsageError
from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.shapes import Dim, dims_of, format_dims


@dataclass(frozen=True)
class DeclaredInput:
    """One input of a model.

    Args:
        name: its name.
        dtype: of its elements; object for strings.
        dims: its shape; None where not even the rank is known.
        alias: what a reference calls it, where that is another name; data may have either.
    """

    name: str
    dtype: np.dtype[Any]
    dims: tuple[Dim, ...] | None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.dtype} {format_dims(self.dims)}"


def declared_inputs(
    model: ir.Model, aliases: Mapping[str, str] = MappingProxyType({})
) -> list[DeclaredInput]:
    """The inputs that a caller has to give, in the graph's order: those without an initializer.

    Args:
        model: a loaded model.
        aliases: names of inputs -> what a reference calls them.

    Raises:
        ModelError: an input that is not a tensor of a known type.
    """
    return [_declared(value, aliases.get(str(value.name))) for value in required_inputs(model.graph)]


def _declared(value: ir.Value, alias: str | None) -> DeclaredInput:
    if value.dtype is None or not isinstance(value.type, ir.TensorType):
        raise ModelError(
            f"input '{value.name}' is {value.type or 'of unknown type'}: only tensors can be checked"
        )
    dims = None
    if value.shape is not None:
        dims = dims_of(value.shape)
    dtype = np.dtype(object) if value.dtype == ir.DataType.STRING else np.dtype(value.dtype.numpy())
    return DeclaredInput(str(value.name), dtype, dims, alias)


def with_shapes(inputs: Sequence[DeclaredInput], shapes: Mapping[str, Sequence[int]]) -> list[DeclaredInput]:
    """The inputs with the given shapes; a name that a shape gives a size has it in every input.

    Args:
        inputs: as the model declares them.
        shapes: by the inputs' names.

    Returns:
        The same inputs in the same order.

    Raises:
        UsageError: a shape for an input that the model lacks, or a size below 1.
        InputError: a shape that the declared one, or another given shape, contradicts.
    """
    by_name = {declared.name: declared for declared in inputs}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in by_name:
            known = ", ".join(f"'{known}'" for known in by_name) or "none"
            raise UsageError(f"a shape is given for '{name}', but the model's inputs are {known}")
        if any(size < 1 for size in shape):
            raise UsageError(f"the shape given for '{name}' has a size below 1: {format_dims(tuple(shape))}")
        dims = by_name[name].dims
        if dims is not None and not bind(dims, shape, sizes):
            raise InputError(
                f"the shape {format_dims(tuple(shape))} given for '{name}' does not fit: "
                f"it is declared as {by_name[name]}" + _bindings(sizes)
            )
    return [
        replace(
            declared,
            dims=tuple(shapes[declared.name]) if declared.name in shapes else _named(declared, sizes),
        )
        for declared in inputs
    ]


def bind(dims: Sequence[Dim], shape: Sequence[int], sizes: dict[str, int]) -> bool:
    """Whether a shape fits the declared one.

    Args:
        dims: as declared.
        shape: of an array.
        sizes: what is known of named sizes so far; the names that `dims` holds are added.
    """
    return len(dims) == len(shape) and all(
        dim is None or (sizes.setdefault(dim, size) if isinstance(dim, str) else dim) == size
        for dim, size in zip(dims, shape, strict=True)
    )


def has_sample_axis(inputs: Sequence[DeclaredInput]) -> bool:
    """Whether axis 0 of every input (scalars aside) counts samples.

    It does if all declare the same first dimension, which no other axis has.

    Args:
        inputs: as the model declares them.
    """
    first = set()
    for declared in inputs:
        if declared.dims is None:
            return False
        first |= set(declared.dims[:1])
        if any(isinstance(dim, str) and dim in declared.dims[:1] for dim in declared.dims[1:]):
            return False
    names = {dim for declared in inputs for dim in (declared.dims or ())[1:] if isinstance(dim, str)}
    return len(first) == 1 and not first & names


def _named(declared: DeclaredInput, sizes: Mapping[str, int]) -> tuple[Dim, ...] | None:
    if declared.dims is None:
        return None
    return tuple(sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in declared.dims)


def _bindings(sizes: Mapping[str, int]) -> str:
    return f" with {', '.join(f'{name} = {size}' for name, size in sizes.items())}" if sizes else ""
