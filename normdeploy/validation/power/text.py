"""The power of a check as lines and a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from normdeploy.terminal import stacked
from normdeploy.validation.power.result import percent

if TYPE_CHECKING:
    from normdeploy.validation.power.result import Power

_SHOWN = 10
"""Layers in the table, unless all are asked for."""


def lines(found: Power, verbose: bool = False) -> Iterator[RenderableType]:
    """What is seen everywhere, and the layers of which least is seen.

    Args:
        found: of all layers.
        verbose: show every layer.
    """
    yield Text(str(found), "red" if found.missed else "")
    if not found.layers:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("layer", overflow="fold")
    table.add_column("operator", overflow="fold")
    table.add_column(stacked("smallest", "error seen"), justify="right", no_wrap=True)
    ranked = found.worst_first
    shown = ranked if verbose or len(ranked) <= _SHOWN + 1 else ranked[:_SHOWN]
    for layer in shown:
        table.add_row(escape(layer.node), escape(layer.op_type), layer.in_words)
    yield table
    rest = ranked[len(shown) :]
    if rest and rest[0].smallest_detectable is not None:
        yield Text(
            f"{len(rest)} other layers show errors from {percent(rest[0].size)} on, or smaller ones", "dim"
        )
    elif rest:
        yield Text(f"{len(rest)} other layers; -v shows them", "dim")
