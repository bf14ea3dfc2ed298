"""Text for terminals, pipes and notebooks, from tables and lines made with rich."""

from __future__ import annotations

import io
import sys

from rich.console import Console, RenderableType

_WIDTH_IN_A_PIPE = 160


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the caller, as for any other output; rich would exit with code 1."""
        raise BrokenPipeError


def show(content: RenderableType) -> None:
    """Print to standard output, as wide as the terminal; wide and without colours where it is none.

    Tables fit into the width. Lines of text may be longer, which terminals wrap.
    """
    width = None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE
    _Console(width=width, highlight=False).print(content, soft_wrap=True)


def as_text(content: RenderableType) -> str:
    """What `show` writes into a pipe, without the last line break."""
    target = io.StringIO()
    console = Console(file=target, width=_WIDTH_IN_A_PIPE, highlight=False, color_system=None)
    console.print(content, soft_wrap=True)
    return target.getvalue().rstrip("\n")


def as_html(content: RenderableType) -> str:
    """The same as HTML for a notebook, with colours."""
    recorder = Console(file=io.StringIO(), width=_WIDTH_IN_A_PIPE, highlight=False, record=True)
    recorder.print(content, soft_wrap=True)
    return recorder.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
