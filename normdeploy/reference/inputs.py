"""Check the arrays that a caller gives against the inputs that a graph declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.errors import InputError, ModelError
from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.shapes import dims_of, fits, format_dims
from normdeploy.reference.dtypes import compute_dtype, widen


def checked_inputs(graph: ir.Graph, inputs: Mapping[str, Array]) -> dict[ir.Value, Array]:
    """The graph's inputs with their arrays, still in the width in which they were given.

    A floating input may have any floating width; every other type has to match. A symbolic dimension
    takes any size.

    Args:
        graph: declares the inputs.
        inputs: their arrays by name; an input that has an initializer may be left out.

    Returns:
        The arrays of those that are given.

    Raises:
        ModelError: the graph takes a sequence or an optional.
        InputError: a name that is missing or unknown, or an array of another type, rank or shape.
    """
    declared = {str(value.name): value for value in graph.inputs}
    unknown = [name for name in inputs if name not in declared]
    if unknown:
        names = ", ".join(f"'{name}'" for name in declared) or "none"
        raise InputError(f"the model has no input '{unknown[0]}': its inputs are {names}")
    for value in graph.inputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise ModelError(f"input '{value.name}' is no tensor: only tensors can be given")
    for value in required_inputs(graph):
        if value.name not in inputs:
            raise InputError(f"input '{value.name}' is missing: expected {_expected(value)}")
    return {declared[name]: _checked(declared[name], array) for name, array in inputs.items()}


def _checked(value: ir.Value, given: Array) -> Array:
    expected = f"input '{value.name}': expected {_expected(value)}, given"
    try:
        array = np.asarray(given)
    except ValueError as error:  # nested lists of different lengths, for example
        raise InputError(f"{expected} what makes no array: {error}") from error
    problem = f"{expected} {array.dtype} {format_dims(array.shape)}"
    try:
        dtype = widen(array[:0] if array.ndim else array).dtype
    except (TypeError, ValueError):
        raise InputError(problem) from None
    if value.dtype is not None and dtype != compute_dtype(value.dtype):
        raise InputError(problem)
    if value.shape is not None and not fits(dims_of(value.shape), array.shape):
        raise InputError(problem)
    return array


def _expected(value: ir.Value) -> str:
    dtype = "any type" if value.dtype is None else value.dtype.name.lower()
    return dtype if value.shape is None else f"{dtype} {format_dims(dims_of(value.shape))}"
