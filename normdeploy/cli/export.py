"""`normdeploy export`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from normdeploy.choices import WORK_TIMEOUT
from normdeploy.cli.options import (
    Named,
    complete_file,
    json_option,
    max_memory_option,
    named_axis,
    output_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, require_apart, stages
from normdeploy.cli.verb import Verb


def _axes_by_name(_: click.Context, __: click.Parameter, axes: Sequence[Named[int]]) -> dict[str, list[int]]:
    named: dict[str, list[int]] = {}
    for name, axis in axes:
        named.setdefault(name, []).append(axis)
    return named


@click.command(name="export", cls=Verb)
@click.argument("source", metavar="SOURCE", shell_complete=complete_file)
@output_option("OUT.onnx")
@shapes_option("Instead of the shape of an example input.")
@click.option(
    "--dynamic",
    type=named_axis,
    metavar="NAME:AXIS",
    multiple=True,
    callback=_axes_by_name,
    help="An axis of an input that may have any size; axis 0 is the batch of all inputs.",
)
@click.option("--opset", type=int, metavar="N", help="Of the standard operators; by default torch's own.")
@click.option("--no-fold", is_flag=True, help="Keep every BatchNormalization.")
@timeout_option("For a .pt2; factories have no limit.", WORK_TIMEOUT)
@max_memory_option("a .pt2")
@json_option("what became of each BatchNorm and LRN")
def command(
    source: str,
    output: str,
    shapes: Mapping[str, Sequence[int]],
    dynamic: Mapping[str, Sequence[int]],
    opset: int | None,
    no_fold: bool,
    timeout: float,
    max_memory: int | None,
    json_path: str | None,
) -> None:
    """Write a torch model as ONNX: LRN as one node, BatchNorm folded.

    SOURCE is package.module:factory or file.py:factory, a callable that returns (torch.nn.Module,
    example inputs), or a .pt2 exported program. Pickled files are refused, since loading one runs its code.
    """
    from rich.console import Group
    from rich.text import Text

    from normdeploy.passes import text
    from normdeploy.resources import limit_memory, process_limit
    from normdeploy.torch import PROGRAM, export_source

    require_apart([source], output=output, json=json_path)
    if source.lower().endswith(PROGRAM):
        limit_memory(process_limit(max_memory))
    with stages("exporting") as progress:
        report = export_source(
            source,
            output,
            shapes=shapes,
            dynamic=dynamic,
            opset=opset,
            fold=not no_fold,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
    wrote = Text(f"wrote {output}: {report.nodes_after} nodes")
    deliver(report, json_path, Group(wrote, text.explanation(report)), output)
