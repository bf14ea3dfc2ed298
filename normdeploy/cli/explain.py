"""What the passes did, in a line per normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from normdeploy.passes import OptimizationReport


def explain(report: OptimizationReport) -> None:
    """Print what became of each BatchNorm and LRN, and why. An LRN goes by the node that gives its result."""
    for batchnorm in report.batchnorm:
        where = f" (in {batchnorm.where})" if batchnorm.where else ""
        detail = f" into {batchnorm.into}" if batchnorm.into else f": {batchnorm.reason}"
        click.echo(f"  BatchNorm {batchnorm.node}{where}: {batchnorm.status}{detail}")
    for lrn in report.lrn:
        nodes = f" ({len(lrn.nodes)} nodes)" if len(lrn.nodes) > 1 else ""
        reason = f": {lrn.reason}" if lrn.reason else ""
        click.echo(f"  LRN {lrn.nodes[-1]}{nodes}: {lrn.status}{reason}")
    if not report.batchnorm and not report.lrn:
        click.echo("  The model has no BatchNorm and no LRN.")
