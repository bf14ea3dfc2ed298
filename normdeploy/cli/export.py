"""`normdeploy export`."""

from __future__ import annotations

import click

from normdeploy.cli.explain import explain
from normdeploy.cli.parameters import SHAPE_METAVAR, axes_by_name, by_name, named_axis, named_shape


@click.command(name="export")
@click.argument("source", metavar="SOURCE")
@click.option("-o", "--output", required=True, metavar="OUT.onnx", help="The file to write.")
@click.option(
    "--shape",
    "shapes",
    type=named_shape,
    metavar=SHAPE_METAVAR,
    multiple=True,
    help="Instead of the shape of an example input.",
)
@click.option(
    "--dynamic",
    type=named_axis,
    metavar="NAME:AXIS",
    multiple=True,
    help="An axis of an input that may have any size; axis 0 is the batch of all inputs.",
)
@click.option("--opset", type=int, metavar="N", help="Of the standard operators; by default torch's own.")
@click.option("--no-fold", is_flag=True, help="Keep every BatchNormalization.")
def command(
    source: str,
    output: str,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    dynamic: tuple[tuple[str, int], ...],
    opset: int | None,
    no_fold: bool,
) -> None:
    """Write a torch model as ONNX: LRN as one node, BatchNorm folded.

    SOURCE is package.module:factory or file.py:factory, a callable that returns (torch.nn.Module,
    example inputs), or a .pt2 exported program. Pickled files are refused, since loading one runs its code.
    """
    from normdeploy.torch import export_source  # torch takes seconds to import, and --help needs none

    report = export_source(
        source,
        output,
        shapes=by_name(shapes),
        dynamic=axes_by_name(dynamic),
        opset=opset,
        fold=not no_fold,
    )
    click.echo(f"wrote {output}: {report.nodes_after} nodes")
    explain(report)
