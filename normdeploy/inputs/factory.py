"""Arrays that a user's function yields, as Polygraphy's data loaders do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import InputError
from normdeploy.inputs.user_code import load_function, user_code


def factory_sets(source: str) -> Iterator[tuple[str, dict[str, Array]]]:
    """What the function yields, with where it comes from.

    Args:
        source: FILE.py:FUNCTION. The function takes nothing and gives an iterable of {name: array}.

    Raises:
        UsageError: no such file or function.
        InputError: the user's code fails, or gives something else or nothing.
    """
    function, path = load_function(source)
    with user_code(path, f"'{source}'"):
        result = function()
        if isinstance(result, Iterable) and not isinstance(result, Mapping | str | bytes):
            return _sets(iter(result), source, path)
    raise InputError(
        f"{source}: must yield {{name: array}} for each sample or batch, and gives {type(result).__name__}"
    )


def _sets(iterator: Iterator[object], source: str, path: Path) -> Iterator[tuple[str, dict[str, Array]]]:
    index = 0
    while True:
        with user_code(path, f"item {index} of '{source}'"):
            try:
                item = next(iterator)
            except StopIteration:
                break
            arrays = (
                {name: np.asarray(array) for name, array in item.items()}
                if isinstance(item, Mapping)
                else None
            )
        origin = f"{source}, item {index}"
        if arrays is None or not all(isinstance(name, str) for name in arrays):
            raise InputError(f"{origin}: must be {{name: array}}, and is {type(item).__name__}")
        yield origin, arrays
        index += 1
    if index == 0:
        raise InputError(f"{source}: yields nothing")
