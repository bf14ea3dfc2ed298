"""`normdeploy inspect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from normdeploy.cli.output import STDOUT, console, progress_bar, show_warnings, write_json
from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.graph.normalizations import Normalization, normalizations
from normdeploy.native_support import RUNTIMES
from normdeploy.resources import limit_memory
from normdeploy.validation.half_precision.findings import findings_on_data, static_findings

SCHEMA = 1


@click.command(name="inspect")
@click.argument("model", metavar="MODEL.onnx")
@click.option(
    "--data",
    metavar="INPUTS.npz",
    help="Warn of half precision by these inputs; by default from the weights alone.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write the list as JSON; - for standard output.")
def command(model: str, data: str | None, json_path: str | None) -> None:
    """List every normalization layer of MODEL.onnx, in subgraphs and functions too.

    Kind, parameters in ONNX's terms and the AlexNet paper's, how many numbers training changes, and which
    runtimes have an operator of their own for it. Warns of layers that half precision would spoil.
    """
    limit_memory()
    graph = load(model)
    infer(graph)
    found = normalizations(graph)
    half_precision = static_findings(graph)
    if data is not None:
        with progress_bar("inspecting") as progress:
            half_precision = findings_on_data(graph, data, progress)
    if json_path is not None:
        document = {
            "schema": SCHEMA,
            "model": model,
            "normalizations": [layer.to_json() for layer in found],
            "half_precision": [finding.to_json() for finding in half_precision],
        }
        write_json(json_path, document)
    if json_path != STDOUT:
        _show(model, found)
        show_warnings(console(), half_precision)


def _show(model: str, found: Sequence[Normalization]) -> None:
    out = console()
    if not found:
        out.print(f"{model}: no normalization layers", markup=False, soft_wrap=True)
        return
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("layer", overflow="fold")
    table.add_column("trainable", justify="right")
    for layer in found:
        place = f"{layer.node}\n({layer.where})" if layer.where else layer.node
        trainable = "?" if layer.trainable is None else str(layer.trainable)
        table.add_row(escape(place), escape("\n".join(_account(layer))), trainable)
    out.print(model, markup=False, soft_wrap=True)
    out.print(table)
    out.print(_comparison(found))


def _account(layer: Normalization) -> Iterator[str]:
    """A layer in a few lines: kind, parameters twice, and where it runs natively."""
    yield layer.kind
    yield f"ONNX: {_listed(layer.parameters)}"
    if layer.paper is not None:
        yield f"paper: {_listed(layer.paper)}"
    elif layer.is_lrn:
        yield "paper: no n has this window"
    if layer.not_native is None:
        return
    native = [runtime for runtime in RUNTIMES if runtime not in layer.not_native]
    if native:
        yield f"native in {', '.join(native)}"
    for reason in dict.fromkeys(layer.not_native.values()):
        runtimes = [runtime for runtime in RUNTIMES if layer.not_native.get(runtime) == reason]
        yield f"not native in {', '.join(runtimes)}: {reason}"


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in parameters.items())


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _comparison(found: Sequence[Normalization]) -> Table:
    lrn = [layer for layer in found if layer.is_lrn]
    batchnorm = [layer for layer in found if layer.op_type == "BatchNormalization"]
    unknown = any(layer.trainable is None for layer in batchnorm)
    count = "unknown" if unknown else str(sum(layer.trainable or 0 for layer in batchnorm))
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("", "LRN", "batch normalization"):
        table.add_column(heading)
    table.add_row("layers", str(len(lrn)), str(len(batchnorm)))
    table.add_row("trainable", "no", "yes")
    table.add_row("trained parameters", "0", f"{count} (scale and shift, 2 per channel)")
    table.add_row("purpose", "lateral inhibition (local contrast)", "against internal covariate shift")
    table.add_row("regularizes", "no", "yes")
    return table
