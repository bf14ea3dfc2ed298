"""Where results go: tables to standard output, progress to standard error, JSON to a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from normdeploy.cli.verb import Verbosity, verbosity
from normdeploy.errors import UsageError
from normdeploy.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from normdeploy.results import Result


_OUTPUT = "output"
"""The option that may name a file that is read."""


def require_apart(reads: Iterable[str | None] = (), **paths: str | None) -> None:
    """Check, before any work, that files can be written, none of them twice or over one that is read.

    Args:
        reads: files that the command reads; FILE.py:FUNCTION is one.
        paths: what each option says, by its long name. What `output` says may be a file that is read, but
            holds none of a model's tensors.

    Raises:
        UsageError: one cannot, or is.
    """
    taken = [f"--{name}" for name, path in paths.items() if _is_stdout(path)]
    if len(taken) > 1:
        raise UsageError(f"{taken[0]} and {taken[1]} cannot both be standard output: name a file for one")
    targets = {name: _target(path) for name, path in paths.items() if path is not None}
    _require_apart({name: target for name, target in targets.items() if target}, list(map(_file, reads)))


def _require_apart(targets: Mapping[str, Path], reads: Sequence[Path | None]) -> None:
    from normdeploy.graph.external_data import data_of

    seen: dict[Path, str] = {}
    for name, target in targets.items():
        other = seen.setdefault(target, name)
        if other != name:
            raise UsageError(f"--{other} and --{name} are one file, {target}: name another for one")
        if not target.exists():
            continue
        for read in filter(None, reads):
            if target == read and name != _OUTPUT:
                raise UsageError(f"--{name} {target}: is read by this command: name another file")
            if target in data_of(read):
                raise UsageError(f"--{name} {target}: holds tensors of {read}: name another file")


def _target(path: str) -> Path | None:
    """The file that is going to be written; None for standard output."""
    from normdeploy.files import resolved_target

    if _is_stdout(path):
        return None
    target = resolved_target(path)
    if not target.parent.is_dir():
        raise UsageError(f"{path}: cannot be written (there is no folder {target.parent})")
    return target


def _file(text: str | None) -> Path | None:
    """The file that an argument names, links followed, if there is one."""
    for path in () if text is None else (text, text.rpartition(":")[0]):
        with suppress(OSError, ValueError):
            if os.path.isfile(path):
                return Path(os.path.realpath(path))
    return None


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
