"""The type of a user's data, and the type that the model takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput

_FLOATS = ("bfloat16", "float16", "float32", "float64")
"""Types whose data is cast to each other: what people save is NumPy's default, float64, or float32."""


def require_type(given: np.dtype[Any], declared: DeclaredInput, source: str) -> None:
    """Check that data has the type that the model takes, or one that is cast to it.

    Args:
        given: of the data.
        declared: the input that it is for.
        source: of the data, as the message names it.

    Raises:
        InputError: it has another type.
    """
    if not _is_taken(given, declared.dtype):
        name = "str" if declared.dtype.kind == "O" else declared.dtype.name
        raise InputError(
            f"{source}: array '{declared.name}' has type {given}, and the model takes "
            f"{declared}: convert it with .astype({name!r})"
        )


def cast_remark(given: np.dtype[Any], declared: DeclaredInput) -> str:
    """Says that data is cast, where it is; else empty.

    Args:
        given: type of the data.
        declared: the input that it is for.
    """
    if _is_cast(given, declared.dtype):
        return f"the data of '{declared.name}' is cast from {given.name} to {declared.dtype.name}"
    return ""


def as_declared(array: Array, declared: DeclaredInput, source: str) -> Array:
    """Data in the type that the model takes.

    Args:
        array: of a type that `require_type` lets pass.
        declared: the input that it is for.
        source: of the data, as the message names it.

    Raises:
        InputError: numbers beyond the range of that type.
    """
    if declared.dtype.kind == "O":
        return array.astype(object)
    if not _is_cast(array.dtype, declared.dtype):
        return array.view(declared.dtype) if array.dtype.kind == "V" else array.astype(declared.dtype)
    with np.errstate(over="ignore"):
        cast = array.astype(declared.dtype)
    beyond = _beyond(array, cast)
    if beyond:
        raise InputError(
            f"{source}: '{declared.name}' reaches {beyond}, which {declared.dtype.name} cannot hold: "
            f"{'scale' if is_floating(declared.dtype) else 'look at'} the data"
        )
    return cast


def _is_taken(given: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    if declared.kind == "O":
        return given.kind in "OSUT"
    if declared.kind == "V" and given.kind == "V":  # numpy.save forgets the names of ml_dtypes' types
        return given.itemsize == declared.itemsize
    return given.newbyteorder("=") == declared or _is_cast(given, declared)


def _is_cast(given: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Whether data of one type is cast to another: floats to floats, and integers to integers."""
    floats = given.name in _FLOATS and declared.name in _FLOATS
    return given.name != declared.name and (floats or (given.kind in "iu" and declared.kind in "iu"))


def _beyond(array: Array, cast: Array) -> str:
    """A number beyond the range of the type that it was cast to; empty if there is none."""
    if not array.size:
        return ""
    if is_floating(array.dtype):
        finite = np.isfinite(array)
        if np.array_equal(np.isfinite(cast), finite):
            return ""
        return f"{np.max(np.abs(array), initial=0.0, where=finite):.6g}"
    limits = np.iinfo(cast.dtype)
    extremes = (int(array.max()), int(array.min()))
    return next((str(value) for value in extremes if not limits.min <= value <= limits.max), "")
