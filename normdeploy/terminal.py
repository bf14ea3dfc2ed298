"""Text for terminals, pipes and notebooks, from tables and lines made with rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import IO, Any

from rich.box import SIMPLE
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.protocol import rich_cast
from rich.segment import Segment
from rich.table import Table
from rich.text import Span, Text

from normdeploy.printable import printable

_WIDTH_IN_A_PIPE = 160
_SHOWN_COUNTS = 15
"""Rows of a table of counts; the rarest beyond share one row."""


class SafeConsole(Console):
    """A console that writes whatever text it is given with controls escaped; takes what rich's own takes.

    A line break in a text is escaped too: it may come from a file. Lines are texts of their own, in a Group.
    """

    def __init__(self, *, file: IO[str] | None = None, **options: Any) -> None:
        super().__init__(file=file, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text of a string, which may hold markup."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is printed passes here, whatever it is inside of."""
        content = rich_cast(renderable)
        return super().render(_safe(content) if isinstance(content, Text) else content, options)

    def on_broken_pipe(self) -> None:
        """Leave it to the caller, as for any other output; rich would exit with code 1."""
        raise BrokenPipeError


def _safe(text: Text) -> Text:
    """The text with controls escaped, and its styles where they were."""
    if text.plain.isprintable():
        return text
    shown = [printable(character) for character in text.plain]
    places = [0, *accumulate(map(len, shown))]
    safe = text.blank_copy("".join(shown))
    safe.spans = [
        Span(places[span.start], places[min(span.end, len(shown))], span.style) for span in text.spans
    ]
    return safe


def stacked(*lines: str) -> Group:
    """Lines one below the other, in a cell of a table; plain text."""
    return Group(*(Text(printable(line)) for line in lines))


def show(content: RenderableType) -> None:
    """Print to standard output, as wide as the terminal; wide and without colours where it is none.

    Tables fit into the width. Lines of text may be longer, which terminals wrap.
    """
    width = None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE
    SafeConsole(width=width).print(content, soft_wrap=True)


def counts_table(heading: str, columns: Mapping[str, Mapping[str, int]]) -> Table:
    """What is counted in rows, the most frequent first, with the rest in one row.

    Args:
        heading: of what is counted.
        columns: heading -> what is counted -> its number.
    """
    names = dict.fromkeys(name for counts in columns.values() for name in counts)
    ranked = sorted(names, key=lambda name: -max(counts.get(name, 0) for counts in columns.values()))
    shown = ranked if len(ranked) <= _SHOWN_COUNTS + 1 else ranked[:_SHOWN_COUNTS]
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(heading, overflow="fold")
    for title in columns:
        table.add_column(title, justify="right")
    for name in shown:
        table.add_row(Text(name), *(str(counts.get(name, 0)) for counts in columns.values()))
    rest = ranked[len(shown) :]
    if rest:
        sums = [sum(counts.get(name, 0) for name in rest) for counts in columns.values()]
        table.add_row(Text(f"{len(rest)} others"), *map(str, sums))
    return table


def as_text(content: RenderableType) -> str:
    """What `show` writes into a pipe, without the last line break."""
    target = io.StringIO()
    console = SafeConsole(file=target, width=_WIDTH_IN_A_PIPE, color_system=None)
    console.print(content, soft_wrap=True)
    return target.getvalue().rstrip("\n")


def as_html(content: RenderableType) -> str:
    """The same as HTML for a notebook, with colours."""
    recorder = SafeConsole(file=io.StringIO(), width=_WIDTH_IN_A_PIPE, record=True)
    recorder.print(content, soft_wrap=True)
    return recorder.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
