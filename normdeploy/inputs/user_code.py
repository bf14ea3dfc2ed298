"""Functions from a user's own file, and what they raise, in one line."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normdeploy.errors import InputError, NormdeployError, UsageError

_REFERENCE = re.compile(r"(?P<path>.+\.py):(?P<name>[^:/\\]+)")

_MODULE_PREFIX = "normdeploy_data_"
"""Of the names of users' modules, so that json.py does not stand for the library of that name."""


def is_function_reference(text: str) -> bool:
    """Whether a text has the form FILE.py:FUNCTION.

    Args:
        text: of an option.
    """
    return _REFERENCE.fullmatch(text) is not None


def load_function(text: str) -> tuple[Callable[..., Any], Path]:
    """Run a file, and take a function from it.

    Args:
        text: FILE.py:FUNCTION.

    Returns:
        The function and its file.

    Raises:
        UsageError: another form, no such file, or no such function in it.
        InputError: the file's own code fails.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}': name a function as FILE.py:FUNCTION")
    path, name = Path(match["path"]), match["name"]
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"{_MODULE_PREFIX}{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: Python cannot load it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that none of its files stands for an installed module
    with user_code(path, "running it"):
        spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{path}: has no function '{name}'")
    return function, path


@contextmanager
def user_code(path: Path, what: str) -> Iterator[None]:
    """Run a user's code: what it raises becomes one line with its place, what it prints goes to stderr.

    Args:
        path: of the user's file.
        what: is being done.

    Raises:
        InputError: the code raises anything.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except NormdeployError:
        raise
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        kind = type(error).__name__
        raise InputError(
            f"{_place(path, error)}: {what} failed: {kind}{': ' if message else ''}{message}"
        ) from error


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
