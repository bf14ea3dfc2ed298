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


def require_one_on_stdout(**paths: str | None) -> None:
    """Check, before any work, that one file at most is to go to standard output.

    Args:
        paths: what each option says, by its long name.

    Raises:
        UsageError: several are.
    """
    taken = [f"--{name}" for name, path in paths.items() if _is_stdout(path)]
    if len(taken) > 1:
        raise UsageError(f"{taken[0]} and {taken[1]} cannot both be standard output: name a file for one")


def deliver(
    result: Result,
    json_path: str | None,
    content: RenderableType | None = None,
    *others: str | None,
) -> None:
    """Write the result as JSON if asked, and show it unless --quiet is given.

    Nothing is shown where standard output takes the JSON, or another file that the verb writes.

    Args:
        result: of the verb.
        json_path: a file, or - for standard output.
        content: what to show in place of the result.
        others: what else the verb wrote.

    Raises:
        UsageError: the file cannot be written.
    """
    from normdeploy.files import write_text
    from normdeploy.terminal import show

    if json_path is not None:
        text = _json(result.to_json()) + "\n"
        if _is_stdout(json_path):
            click.echo(text, nl=False)
        else:
            write_text(json_path, text)
    taken = any(map(_is_stdout, (json_path, *others)))
    if not taken and verbosity() is not Verbosity.QUIET:
        show(result if content is None else content)


def _json(document: object) -> str:
    """Of ASCII only, controls escaped: JSON lets DEL stand as it is, which a terminal would obey."""
    return json.dumps(document, indent=2, allow_nan=False).replace("\x7f", "\\u007f")


def _is_stdout(path: str | None) -> bool:
    from normdeploy.files import is_stdout

    return path is not None and is_stdout(path)


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
