"""`normdeploy inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from normdeploy.backends.resources import limit_memory
from normdeploy.cli.output import STDOUT, console, write_json
from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.graph.normalizations import Normalization, normalizations
from normdeploy.limits import RUNTIMES
from normdeploy.reference.memory import physical_memory

SCHEMA = 1


@click.command(name="inspect")
@click.argument("model", metavar="MODEL.onnx")
@click.option("--json", "json_path", metavar="FILE", help="Write the list as JSON; - for standard output.")
def command(model: str, json_path: str | None) -> None:
    """List every normalization layer of MODEL.onnx, in subgraphs and functions too.

    Kind, parameters in ONNX's terms and the AlexNet paper's, how many numbers training changes, and which
    runtimes have an operator of their own for it.
    """
    limit_memory(physical_memory())
    graph = load(model)
    infer(graph)
    found = normalizations(graph)
    if json_path is not None:
        layers = [layer.to_json() for layer in found]
        write_json(json_path, {"schema": SCHEMA, "model": model, "normalizations": layers})
    if json_path != STDOUT:
        _show(model, found)


def _show(model: str, found: Sequence[Normalization]) -> None:
    out = console()
    if not found:
        out.print(f"{escape(model)}: no normalization layers")
        return
    table = Table(title=escape(model), title_justify="left", title_style="")
    for heading in ("node", "operator", "in ONNX's terms", "in the article's terms"):
        table.add_column(heading, overflow="fold")
    table.add_column("trainable", justify="right")
    table.add_column("runs natively in", overflow="fold")
    for layer in found:
        place = f"{layer.node} ({layer.where})" if layer.where else layer.node
        table.add_row(
            escape(place),
            layer.kind,
            escape(_listed(layer.parameters)),
            _article(layer),
            "?" if layer.trainable is None else str(layer.trainable),
            escape(_native(layer)),
        )
    out.print(table)
    out.print(_comparison(found))


def _listed(parameters: Any) -> str:
    return "\n".join(f"{name} = {_number(value)}" for name, value in parameters.items())


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _article(layer: Normalization) -> str:
    if layer.article is not None:
        return _listed(layer.article)
    return "no n has this window" if "LRN" in layer.op_type else ""


def _native(layer: Normalization) -> str:
    if layer.not_native is None:
        return ""
    return "\n".join(
        f"not {runtime}: {layer.not_native[runtime]}" if runtime in layer.not_native else runtime
        for runtime in RUNTIMES
    )


def _comparison(found: Sequence[Normalization]) -> Table:
    lrn = [layer for layer in found if "LRN" in layer.op_type]
    batchnorm = [layer for layer in found if layer.op_type == "BatchNormalization"]
    unknown = any(layer.trainable is None for layer in batchnorm)
    count = "unknown" if unknown else str(sum(layer.trainable or 0 for layer in batchnorm))
    table = Table(title="in this model", title_justify="left", title_style="")
    for heading in ("", "LRN", "batch normalization"):
        table.add_column(heading)
    table.add_row("layers", str(len(lrn)), str(len(batchnorm)))
    table.add_row("trainable", "no", "yes")
    table.add_row("trained parameters", "0", f"{count} (scale and shift, 2 per channel)")
    table.add_row("purpose", "lateral inhibition (local contrast)", "against internal covariate shift")
    table.add_row("regularizes", "no", "yes")
    return table
