"""Check the arrays that a caller gives against the inputs that a graph declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.errors import InputError, ModelError
from normdeploy.reference.dtypes import compute_dtype, widen


def checked_inputs(graph: ir.Graph, inputs: Mapping[str, Array]) -> dict[ir.Value, Array]:
    """The graph's inputs with their arrays, still in the width in which they were given.

    A floating input may have any floating width; every other type has to match. A symbolic dimension
    takes any size.

    Raises:
        ModelError: the graph takes a sequence or an optional.
        InputError: a name that is missing or unknown, or an array of another type, rank or shape.
    """
    declared = {str(value.name): value for value in graph.inputs}
    unknown = [name for name in inputs if name not in declared]
    if unknown:
        names = ", ".join(f"'{name}'" for name in declared) or "none"
        raise InputError(f"the model has no input '{unknown[0]}': its inputs are {names}")
    checked = {}
    for value in graph.inputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(
                f"input '{value.name}' is no tensor: the NumPy reference has no sequences or optionals"
            )
    for name, value in declared.items():
        if name in inputs:
            checked[value] = _checked(value, inputs[name])
        elif value.const_value is None:
            raise InputError(f"input '{name}' is missing: expected {_expected(value)}")
    return checked


def _checked(value: ir.Value, given: Array) -> Array:
    expected = f"input '{value.name}': expected {_expected(value)}, given"
    try:
        array = np.asarray(given)
    except ValueError as error:  # nested lists of different lengths, for example
        raise InputError(f"{expected} what makes no array: {error}") from error
    problem = f"{expected} {array.dtype} {_shape(array.shape)}"
    try:
        dtype = widen(array[:0] if array.ndim else array).dtype
    except (TypeError, ValueError):
        raise InputError(problem) from None
    if value.dtype is not None and dtype != compute_dtype(value.dtype):
        raise InputError(problem)
    if value.shape is not None and not _fits(value.shape, array.shape):
        raise InputError(problem)
    return array


def _fits(declared: ir.Shape, shape: tuple[int, ...]) -> bool:
    return len(declared) == len(shape) and all(
        not isinstance(expected, int) or expected == size
        for expected, size in zip(declared, shape, strict=True)
    )


def _expected(value: ir.Value) -> str:
    dtype = "any type" if value.dtype is None else value.dtype.name.lower()
    return dtype if value.shape is None else f"{dtype} {_shape(value.shape)}"


def _shape(shape: ir.Shape | tuple[int, ...]) -> str:
    sizes = [size if isinstance(size, int) else (size.value or "?") for size in shape]
    return f"[{', '.join(str(size) for size in sizes)}]"
