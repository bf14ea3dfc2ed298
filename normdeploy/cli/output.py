"""Where results go: tables to standard output, progress to standard error, JSON to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from normdeploy.cli.verb import Verbosity, verbosity
from normdeploy.errors import UsageError
from normdeploy.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from normdeploy.results import Result

_STDOUT = "-"


def require_one_on_stdout(output: str, json_path: str | None) -> None:
    """Check, before any work, that not both the output and the JSON are to go to standard output.

    Raises:
        UsageError: they are.
    """
    from normdeploy.files import is_stdout

    if is_stdout(output) and json_path == _STDOUT:
        raise UsageError("-o and --json cannot both be standard output: name a file for one of them")


def deliver(
    result: Result,
    json_path: str | None,
    content: RenderableType | None = None,
    output: str | None = None,
) -> None:
    """Write the result as JSON if asked, and show it unless --quiet is given.

    Nothing is shown where standard output takes the JSON, or the file that the verb writes.

    Args:
        result: of the verb.
        json_path: a file, or - for standard output.
        content: what to show in place of the result.
        output: the file that the verb wrote.

    Raises:
        UsageError: the file cannot be written.
    """
    from normdeploy.files import is_stdout, write_text
    from normdeploy.terminal import show

    if json_path is not None:
        text = json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n"
        if json_path == _STDOUT:
            click.echo(text, nl=False)
        else:
            write_text(json_path, text)
    taken = json_path == _STDOUT or (output is not None and is_stdout(output))
    if not taken and verbosity() is not Verbosity.QUIET:
        show(result if content is None else content)


def say(line: str) -> None:
    """Print a line that other programs read, unless --quiet is given."""
    if verbosity() is not Verbosity.QUIET:
        click.echo(printable(line))


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
    """A function to call with (done, total); draws only where standard error is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from normdeploy.terminal import SafeConsole

    columns = (TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=SafeConsole(stderr=True), transient=True, disable=not _draws()) as bar:
        task = bar.add_task(description, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def status(description: str) -> Iterator[None]:
    """Says on a terminal that something takes long."""
    from normdeploy.terminal import SafeConsole

    with SafeConsole(stderr=True, quiet=not _draws()).status(description):
        yield


@contextmanager
def stages(description: str) -> Iterator[Callable[[str], None]]:
    """A function to call with what is being done; shows it only where standard error is a terminal."""
    from rich.text import Text

    from normdeploy.terminal import SafeConsole

    with SafeConsole(stderr=True, quiet=not _draws()).status(description) as shown:
        yield lambda stage: shown.update(Text(f"{description}: {stage}"))


def _draws() -> bool:
    return sys.stderr.isatty() and verbosity() is not Verbosity.QUIET
