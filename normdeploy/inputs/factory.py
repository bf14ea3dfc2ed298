"""Arrays that a user's function yields, as Polygraphy's data loaders do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from normdeploy.dtypes import Array
from normdeploy.errors import InputError
from normdeploy.inputs.user_code import arrays_of, load_function, user_code


def factory_sets(source: str) -> Iterator[tuple[str, dict[str, Array]]]:
    """What the function yields, with where it comes from.

    Args:
        source: FILE.py:FUNCTION. The function takes nothing and gives an iterable of {name: array}.

    Raises:
        UsageError: no such file or function.
        InputError: the user's code fails, or gives something else or nothing.
    """
    function, path = load_function(source)
    with user_code(path, f"'{_name(source)}'"):
        result = function()
        if isinstance(result, Iterable) and not isinstance(result, Mapping | str | bytes):
            return _sets(iter(result), source, path)
    raise InputError(
        f"{source}: must yield {{name: array}} for each sample or batch, and gives {type(result).__name__}"
    )


def _sets(iterator: Iterator[object], source: str, path: Path) -> Iterator[tuple[str, dict[str, Array]]]:
    index = 0
    while True:
        with user_code(path, f"item {index} of '{_name(source)}'"):
            try:
                item = next(iterator)
            except StopIteration:
                break
            arrays = arrays_of(item, f"{source}, item {index}")
        yield f"{source}, item {index}", arrays
        index += 1
    if index == 0:
        raise InputError(f"{source}: yields nothing")


def _name(source: str) -> str:
    """The function's, without the file, which a message about its code has already."""
    return source.rpartition(":")[2]
