"""`normdeploy doctor`."""

from __future__ import annotations

import click

from normdeploy.cli.options import json_option
from normdeploy.cli.output import deliver, status
from normdeploy.cli.verb import Verb


@click.command(name="doctor", cls=Verb)
@json_option("what was found")
def command(json_path: str | None) -> None:
    """Say what is installed, which backends work on this machine, and how to mend those that do not.

    Each backend computes a small LRN in a process of its own. The exit code is 0 whatever is found.
    """
    from normdeploy.diagnosis import doctor

    with status("trying the backends"):
        found = doctor()
    deliver(found, json_path)
