"""The invariants as lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from normdeploy.validation.invariants.result import Invariants, Outcome

_COLOURS: dict[Outcome, str] = {"pass": "", "skipped": "dim"}
_WORDS: dict[Outcome, str] = {"pass": "hold"}
"""In a count, where that is another word than the status."""


def lines(found: Invariants) -> Iterator[Text]:
    """How many invariants of each backend hold, and a line for each of which there is something to say.

    Args:
        found: of all backends.
    """
    for backend, group in groupby(found.entries, lambda entry: entry.backend):
        entries = list(group)
        counts = Counter(entry.status for entry in entries)
        listed = ", ".join(f"{count} {_WORDS.get(status, status)}" for status, count in counts.most_common())
        yield Text(f"invariants of {backend}: {listed}")
        for entry in entries:
            if entry.reason:
                yield Text(f"  {entry}", _COLOURS.get(entry.status, "red"))
