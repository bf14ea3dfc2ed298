"""What becomes of a part of a model that cannot be cut out, written, run or judged: a line, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from normdeploy.errors import BackendFailure, BackendTimeout

_MOST_FAILURES = 40
"""After which a search gives up: each costs a process, and where so many fail, more will."""

_MOST_TIMEOUTS = 3
"""Likewise; each costs all the seconds that a backend is given."""

_NAMED = 3
"""Nodes of one reason that are named."""


class GivenUp(Exception):
    """Too much has failed to go on."""


class Attempts:
    """Counts what fails in one search, and says it in few lines."""

    def __init__(self) -> None:
        self._failures = 0
        self._timeouts = 0
        self._nodes: dict[str, list[str]] = {}
        self._given_up = ""

    def count(self, error: Exception) -> None:
        """Note a failure that is looked into further.

        Raises:
            GivenUp: it is one too many.
        """
        self._failures += 1
        self._timeouts += isinstance(error, BackendTimeout)
        if self._timeouts >= _MOST_TIMEOUTS or self._failures >= _MOST_FAILURES:
            self._given_up = f"given up after {self._failures} parts of the model failed: {reason(error)}"
            raise GivenUp(self._given_up)

    def name(self, node: str, error: Exception) -> None:
        """Note a node that failed by itself."""
        self._nodes.setdefault(reason(error), []).append(node)

    @property
    def remarks(self) -> list[str]:
        """A line for each reason, with the first nodes that it holds for."""
        lines = [f"not run alone: {_listed(names)}: {why}" for why, names in self._nodes.items()]
        return [*lines, *filter(None, [self._given_up])]


@contextmanager
def remarked(what: str, remarks: list[str]) -> Iterator[None]:
    """Do something that may fail; then a line says so, and what comes after it is done nevertheless.

    Args:
        what: could not be done, as the line begins.
        remarks: gets the line.
    """
    try:
        yield
    except Exception as error:  # a report that is finished must not be lost to a search in it
        remarks.append(f"{what}: {reason(error)}")


def reason(error: Exception) -> str:
    """Why something failed, in one line."""
    if isinstance(error, BackendFailure):
        return f"{error.status}: {error.reason}"
    return " ".join(str(error).split()) or type(error).__name__


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
