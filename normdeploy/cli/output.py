"""Where results go: tables to standard output, progress to standard error, JSON to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from normdeploy.files import write_text

if TYPE_CHECKING:
    from normdeploy.validation.half_precision.findings import HalfPrecision

STDOUT = "-"
_WIDTH_IN_A_PIPE = 160


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main`, as for any other output; rich would exit with code 1."""
        raise BrokenPipeError


def console() -> Console:
    """For tables; wide and plain where standard output is no terminal."""
    return _Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE, highlight=False)


def write_json(path: str, document: Mapping[str, Any]) -> None:
    """Write to a file, whole or not at all, or to standard output for "-"."""
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    if path == STDOUT:
        click.echo(text, nl=False)
    else:
        write_text(path, text)


def show_warnings(out: Console, findings: Iterable[HalfPrecision]) -> None:
    """A line for each layer that half precision would spoil."""
    for finding in findings:
        if finding.problem:
            out.print(f"warning: {finding}", markup=False, style="yellow", soft_wrap=True)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total); draws only where standard error is a terminal."""
    columns = (TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(description, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
