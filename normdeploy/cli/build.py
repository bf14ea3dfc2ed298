"""`normdeploy build`."""

from __future__ import annotations

import re

import click
from rich.console import Console

from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.cli.output import STDOUT, write_json
from normdeploy.cli.parameters import by_name, named_shape
from normdeploy.engine import DEFAULT_TIMEOUT, EngineRecord, build
from normdeploy.engine.shapes import Range

_SIZES = re.compile(r"[0-9]+([xX][0-9]+)*")


def _named_range(text: str) -> tuple[str, Range]:
    """NAME:MIN:OPT:MAX, or NAME:SIZES for one shape only -> (name, range). A name may hold colons itself."""
    *name, smallest, best, largest = ("", "", *text.split(":"))
    if any(name) and all(map(_SIZES.fullmatch, (smallest, best, largest))):
        shapes = (named_shape(f"{text}:{sizes}")[1] for sizes in (smallest, best, largest))
        return ":".join(name[2:]), Range(*shapes)
    name_alone, shape = named_shape(text)
    return name_alone, Range(shape, shape, shape)


@click.command(name="build")
@click.argument("model", metavar="MODEL.onnx")
@click.option("-o", "--output", required=True, metavar="ENGINE", help="The file to write.")
@click.option(
    "--backend",
    type=click.Choice(list(LIBRARIES)),
    help="By default the first that can build on this machine; tensorrt-rtx needs no GPU for it.",
)
@click.option(
    "--shape",
    "shapes",
    type=_named_range,
    metavar="NAME:1x3x224x224",
    multiple=True,
    help="Of an input whose shape the model leaves open; a range as NAME:MIN:OPT:MAX.",
)
@click.option(
    "--plugin",
    "plugins",
    metavar="LIB.so",
    multiple=True,
    help="A plugin library to use instead of the model's functions. May be repeated. tensorrt only.",
)
@click.option(
    "--timing-cache",
    metavar="FILE",
    help="Measurements to reuse, and to write again. tensorrt only.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="For loading the model, and for building.",
)
@click.option(
    "--json", "json_path", metavar="FILE", help="Write the record there too; - for standard output."
)
def command(
    model: str,
    output: str,
    backend: str | None,
    shapes: tuple[tuple[str, Range], ...],
    plugins: tuple[str, ...],
    timing_cache: str | None,
    timeout: float,
    json_path: str | None,
) -> None:
    """Build a TensorRT engine from MODEL.onnx, and put a record of it beside it, as ENGINE.json.

    The record holds the versions, the shapes, the plugins that the engine needs, the SHA-256 of the model,
    and every layer.

    Exit code: 0 built; 2 bad usage or bad input; 3 the backend refused the model, crashed, timed out or is
    not available.
    """
    with Console(stderr=True).status("building the engine"):
        record = build(
            model,
            output,
            backend=backend,
            shapes=by_name(shapes),
            plugins=plugins,
            timing_cache=timing_cache,
            timeout=timeout,
        )
    if json_path is not None:
        write_json(json_path, record.to_json())
    if json_path != STDOUT:
        _show(record, output)


def _show(record: EngineRecord, output: str) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    click.echo(f"wrote {output} ({versions}) in {record.seconds:.1f} s, and its record {output}.json")
    for declared in record.inputs:
        shapes = [declared["shape"]] if "min" not in declared else [declared[key] for key in _RANGE]
        click.echo(
            f"  input {declared['name']}: {declared['dtype']} {' '.join(dict.fromkeys(map(_x, shapes)))}"
        )
    found = record.normalizations
    for node in found.native:
        click.echo(f"  LRN {node}: native layer")
    for node in found.plugin:
        click.echo(f"  LRN {node}: plugin")
    for node, function in found.function.items():
        click.echo(f"  {function} {node}: function of standard operators")
    for operator in record.plugins:
        click.echo(
            f"  needs the plugin {operator['namespace']}::{operator['name']}, version {operator['version']}"
        )
    for note in record.notes:
        click.echo(f"  {note}")


_RANGE = ("min", "opt", "max")


def _x(shape: list[int]) -> str:
    return "x".join(map(str, shape))
