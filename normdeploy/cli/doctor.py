"""`normdeploy doctor`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from normdeploy.cli.options import backends_option, json_option
from normdeploy.cli.output import deliver, status
from normdeploy.cli.verb import Verb
from normdeploy.errors import ExitCode


@click.command(name="doctor", cls=Verb)
@backends_option()
@json_option("what was found")
@click.pass_context
def command(ctx: click.Context, backends: Sequence[str], json_path: str | None) -> None:
    """Say what is installed, which backends work on this machine, and how to mend those that do not.

    Also every extra, the tools that building the plugin takes, and the plugin. Each backend computes a small
    LRN in a process of its own.

    Exit code: 0, whatever is found; with --backend, 3 if one of those named does not work here.
    """
    from normdeploy.diagnosis import doctor

    with status("trying the backends"):
        found = doctor(backends or None)
    deliver(found, json_path)
    if backends and not all(backend.works for backend in found.backends):
        ctx.exit(ExitCode.UNAVAILABLE)
