"""Functions from a user's own file: what they raise, in one line, and what they give, as arrays."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.errors import ExportError, InputError, NormdeployError, UsageError

UserFunction = Callable[..., Any]

_REFERENCE = re.compile(r"(?P<path>.+\.py):(?P<name>[^:/\\]+)")

_MODULE_PREFIX = "normdeploy_data_"
"""Of the names of users' modules, so that json.py does not stand for the library of that name."""


def is_function_reference(text: str) -> bool:
    """Whether a text has the form FILE.py:FUNCTION.

    Args:
        text: of an option.
    """
    return _REFERENCE.fullmatch(text) is not None


def load_function(text: str, kind: type[InputError | ExportError] = InputError) -> tuple[UserFunction, Path]:
    """Run a file, and take a function from it.

    Args:
        text: FILE.py:FUNCTION.
        kind: of the error where the file's own code fails.

    Returns:
        The function and its file.

    Raises:
        UsageError: another form, no such file, or no such function in it.
        InputError, ExportError: the file's own code fails.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}': name a function as FILE.py:FUNCTION")
    path, name = Path(match["path"]), match["name"]
    if not os.path.isfile(path):
        raise UsageError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"{_MODULE_PREFIX}{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: Python cannot load it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that none of its files stands for an installed module
    with user_code(path, "running it", kind):
        spec.loader.exec_module(module)
    return function_of(module, name, str(path)), path


def function_of(module: ModuleType, name: str, where: str) -> UserFunction:
    """What a module has under a name, if that can be called.

    Args:
        module: the user's.
        name: of the function.
        where: the module is from, as messages name it.

    Raises:
        UsageError: there is no such function.
    """
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{where}: has no function '{name}'")
    return cast(UserFunction, function)


def arrays_of(result: object, origin: str) -> dict[str, Array]:
    """What a user's function gives as {name: array}, as NumPy arrays.

    Args:
        result: of the function.
        origin: of it, as messages name it.

    Raises:
        InputError: anything else, a name that is no text, or None in place of an array.
    """
    if not isinstance(result, Mapping):
        raise InputError(f"{origin}: must be {{name: array}}, and is {type(result).__name__}")
    for name in result:
        if not isinstance(name, str):
            raise InputError(f"{origin}: must be {{name: array}}, and has {name!r} for a name")
    return {name: array_of(value, f"{origin}, '{name}'") for name, value in result.items()}


def array_of(result: object, origin: str) -> Array:
    """What a user's function gives as an array, as a NumPy array.

    Args:
        result: of the function.
        origin: of it, as messages name it.

    Raises:
        InputError: it is None: the function returns nothing.
    """
    if result is None:
        raise InputError(f"{origin}: must be an array, and is None")
    return np.asarray(result)


@contextmanager
def user_code(path: Path, what: str, kind: type[InputError | ExportError] = InputError) -> Iterator[None]:
    """Run a user's code: what it raises becomes one line with its place, what it prints goes to stderr.

    Args:
        path: of the user's file.
        what: is being done.
        kind: of the error.

    Raises:
        InputError, ExportError: the code raises anything.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except NormdeployError:
        raise
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        reason = f"{type(error).__name__}{': ' if message else ''}{message}"
        raise kind(f"{_place(path, error)}: {what} failed: {reason}") from error


def _place(path: Path, error: BaseException) -> str:
    """The line of the user's file that the error passed last."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{path}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, path)]
    return f"{path}:{frames[-1].lineno}" if frames else str(path)


def _same(filename: str, path: Path) -> bool:
    try:
        return Path(filename).resolve() == path.resolve()
    except OSError:
        return False
