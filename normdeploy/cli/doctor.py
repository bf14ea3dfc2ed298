"""`normdeploy doctor`."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.markup import escape
from rich.table import Table

from normdeploy.cli.output import console
from normdeploy.diagnosis import Finding, diagnose


@click.command(name="doctor")
def command() -> None:
    """Say what is installed, which backends work on this machine, and how to mend those that do not.

    Each backend computes a small LRN in a process of its own. The exit code is 0 whatever is found.
    """
    found = diagnose()
    out = console()
    for title, findings in (
        ("packages", found.packages),
        ("backends", found.backends),
        ("hardware", found.hardware),
    ):
        out.print(_table(title, findings))


def _table(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(min_width=24)
    table.add_column(min_width=3)
    table.add_column(overflow="fold")
    for finding in findings:
        mark = "[green]yes[/]" if finding.works else "[yellow]no[/]"
        table.add_row(finding.name, mark, escape(finding.detail))
    return table
