"""The kernels as lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from normdeploy.validation.kernels.result import Culprit, Kernels, KernelVerdict, Outcome

_COLOURS: dict[Outcome, str] = {"safe": "", "depends": "red", "broken": "red", "unknown": "red"}


def lines(found: Kernels) -> Iterator[Text]:
    """A line for each verdict, backends of which the same is to be said together, and one for each node.

    Args:
        found: of all backends.
    """
    entries = sorted(found.entries, key=lambda entry: (entry.verdict, entry.reason))
    for (verdict, reason, nodes), group in groupby(entries, _said):
        names = ", ".join(entry.backend for entry in group)
        yield Text(f"kernels of {names} {verdict}: {reason}", _COLOURS[verdict])
        for node in nodes:
            yield Text(f"  {node}{ratio(node)}", _COLOURS[verdict])


def ratio(node: Culprit) -> str:
    """What the node's kernel does to the outputs, in words.

    Args:
        node: which.
    """
    of = "" if node.alone else ", of all together"
    return f"; error / allowed {node.noise_ratio:.3g}{of}"


def _said(entry: KernelVerdict) -> tuple[Outcome, str, tuple[Culprit, ...]]:
    return entry.verdict, entry.reason, tuple(entry.nodes)
