"""What the passes did, in a line for each normalization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from normdeploy.terminal import counts_table

if TYPE_CHECKING:
    from normdeploy.passes.report import OptimizationReport


def render(report: OptimizationReport) -> RenderableType:
    """The numbers, what became of each BatchNorm and LRN, and the operators before and after."""
    return Group(Text(summary(report)), explanation(report), operators(report))


def summary(report: OptimizationReport) -> str:
    """How many nodes there were and are, and how many normalizations became what."""
    parts = [f"{report.nodes_before} -> {report.nodes_after} nodes"]
    for kind, records in (("BatchNorm", report.batchnorm), ("LRN", report.lrn)):
        counts = Counter(record.status for record in records)
        parts += [f"{kind} {count} {status}" for status, count in sorted(counts.items())]
    return ", ".join(parts)


def explanation(report: OptimizationReport) -> RenderableType:
    """What became of each BatchNorm and LRN, and why. An LRN goes by the node that gives its result."""
    return Group(*(Text(f"  {line}") for line in _explained(report)))


def operators(report: OptimizationReport) -> RenderableType:
    """How many nodes of each operator there were and are."""
    return counts_table("operator", {"before": report.operators_before, "after": report.operators_after})


def _explained(report: OptimizationReport) -> Iterator[str]:
    for batchnorm in report.batchnorm:
        where = f" (in {batchnorm.where})" if batchnorm.where else ""
        detail = f" into {batchnorm.into}" if batchnorm.into else f": {batchnorm.reason}"
        yield f"BatchNorm {batchnorm.node}{where}: {batchnorm.status}{detail}"
    for lrn in report.lrn:
        nodes = f" ({len(lrn.nodes)} nodes)" if len(lrn.nodes) > 1 else ""
        reason = f": {lrn.reason}" if lrn.reason else ""
        yield f"LRN {lrn.nodes[-1]}{nodes}: {lrn.status}{reason}"
    if not report.batchnorm and not report.lrn:
        yield "The model has no BatchNorm and no LRN."
