"""What the functions of normdeploy give back: tables when printed, JSON, pages."""

from __future__ import annotations

import abc
import math
import os
from typing import Any

from rich.console import RenderableType

from normdeploy.files import write_text
from normdeploy.terminal import as_html, as_text


class Result(abc.ABC):
    """`print(result)` is the table that the command shows."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""

    @abc.abstractmethod
    def __rich__(self) -> RenderableType:
        """As rich prints it."""

    def __str__(self) -> str:
        return as_text(self.__rich__())

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return as_html(self.__rich__())


def finite(document: Any) -> Any:
    """A JSON document with null in the place of each NaN and infinity, which JSON does not have.

    Args:
        document: dictionaries, lists and tuples of plain values.
    """
    if isinstance(document, dict):
        return {name: finite(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [finite(value) for value in document]
    return None if isinstance(document, float) and not math.isfinite(document) else document


class PageResult(Result):
    """A result that can also be read as one self-contained page with charts."""

    @abc.abstractmethod
    def html(self) -> str:
        """The whole page.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            UsageError: the file cannot be written.
        """
        write_text(path, self.html())
