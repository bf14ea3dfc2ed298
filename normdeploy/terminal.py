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


def console() -> Console:
    """For standard output; wide and plain where that is no terminal."""
    return _Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE, highlight=False)


def as_text(content: RenderableType) -> str:
    """What `console().print` writes into a pipe, without the last line break."""
    target = io.StringIO()
    Console(file=target, width=_WIDTH_IN_A_PIPE, highlight=False, color_system=None).print(content)
    return target.getvalue().rstrip("\n")


def as_html(content: RenderableType) -> str:
    """The same as HTML for a notebook, with colours."""
    recorder = Console(file=io.StringIO(), width=_WIDTH_IN_A_PIPE, highlight=False, record=True)
    recorder.print(content)
    return recorder.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
