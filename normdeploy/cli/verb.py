"""What every verb has in common: -q and -v, and what they mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import click
from click.core import ParameterSource

from normdeploy.errors import BackendFailure, UsageError
from normdeploy.printable import printable

CONFIGURATION = "normdeploy.configuration"
"""In a context's `meta`: the file that defaults of options come from, if there is one."""

_VERBOSITY = "normdeploy.verbosity"

_COMMON = (
    click.Option(["-q", "--quiet"], is_flag=True, help="Print errors only; the exit code tells the rest."),
    click.Option(["-v", "--verbose"], is_flag=True, help="Also versions, times and what backends wrote."),
)


class Verbosity(Enum):
    """How much a command prints."""

    QUIET = -1
    """Errors, and what --json and --html write."""
    NORMAL = 0
    VERBOSE = 1


def verbosity() -> Verbosity:
    """What the command that is being run was asked for; normal where none is."""
    context = click.get_current_context(silent=True)
    found: Verbosity = Verbosity.NORMAL if context is None else context.meta.get(_VERBOSITY, Verbosity.NORMAL)
    return found


def parameters(command: click.Command) -> list[click.Parameter]:
    """A command's arguments and options, the common ones too, without --help.

    click makes --help once for each command, as the first context wants it that asks: to ask here would take
    -h from the users.

    Args:
        command: a verb, or a group of commands.
    """
    return [*command.params, *(_COMMON if isinstance(command, Verb) else ())]


class Verb(click.Command):
    """A command with --quiet and --verbose."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own arguments and options, the common ones, and --help."""
        added = super().get_params(ctx)[len(self.params) :]
        return [*parameters(self), *added]

    def invoke(self, ctx: click.Context) -> object:
        """Run it.

        Raises:
            UsageError: both --quiet and --verbose are given, or an empty value.
        """
        _require_values(ctx)
        ctx.meta[_VERBOSITY] = _asked_for(ctx)
        if verbosity() is not Verbosity.VERBOSE:
            return super().invoke(ctx)
        with _accounted(ctx):
            return super().invoke(ctx)


def _require_values(ctx: click.Context) -> None:
    """An empty path is the working folder to the system, and most often a variable that is not set."""
    for parameter in parameters(ctx.command):
        value = ctx.params.get(str(parameter.name))
        if "" in (value if isinstance(value, tuple) else (value,)):
            option = isinstance(parameter, click.Option)
            shown = parameter.opts[0] if option else parameter.make_metavar(ctx)
            raise UsageError(f"the value of {shown} is empty: give one")


def _asked_for(ctx: click.Context) -> Verbosity:
    """The command line outweighs the configuration."""
    given = {name: ctx.get_parameter_source(name) for name in ("quiet", "verbose") if ctx.params.pop(name)}
    if len(given) == 2 and given["quiet"] == given["verbose"]:
        raise UsageError("--quiet and --verbose exclude each other: give one of them")
    for name, source in given.items():
        if len(given) == 1 or source is ParameterSource.COMMANDLINE:
            return Verbosity[name.upper()]
    return Verbosity.NORMAL


@contextmanager
def _accounted(ctx: click.Context) -> Iterator[None]:
    """Say on standard error what it runs with, what a backend that failed wrote, and how long it took."""
    from normdeploy.environment import environment

    _say(", ".join(f"{name} {value}" for name, value in environment().items()))
    _say(f"configuration: {ctx.meta.get(CONFIGURATION) or 'none'}")
    begin = time.monotonic()
    try:
        yield
    except BackendFailure as failure:
        for line in failure.log:
            _say(f"  | {line}")
        raise
    finally:
        _say(f"took {time.monotonic() - begin:.2f} s")


def _say(line: str) -> None:
    click.echo(printable(line), err=True)
