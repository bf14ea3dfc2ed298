"""Text for terminals, pipes and notebooks, from tables and lines made with rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import IO, Any

from rich.box import SIMPLE
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from normdeploy.printable import printable

_WIDTH_IN_A_PIPE = 160
_SHOWN_COUNTS = 15
"""Rows of a table of counts; the rarest beyond share one row."""


class _Escaped:
    """What another renderable gives, with its text made safe; rich's own controls stay."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._content, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class _Escaping(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Escaped(content) for content in renderables]


class SafeConsole(Console):
    """A console that writes whatever it is given with controls escaped; takes what rich's own takes."""

    def __init__(self, *, file: IO[str] | None = None, **options: Any) -> None:
        super().__init__(file=file, highlight=False, **options)
        self.push_render_hook(_Escaping())

    def on_broken_pipe(self) -> None:
        """Leave it to the caller, as for any other output; rich would exit with code 1."""
        raise BrokenPipeError


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
