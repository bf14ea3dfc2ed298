"""`normdeploy build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from normdeploy.choices import BUILD_TIMEOUT, BUILDER_NAMES
from normdeploy.cli.options import (
    complete_file,
    completer,
    json_option,
    max_memory_option,
    model_argument,
    output_option,
    plugins_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, require_apart, status
from normdeploy.cli.ranges import shape_or_range
from normdeploy.cli.verb import Verb

if TYPE_CHECKING:
    from normdeploy.inputs.ranges import Range


@click.command(name="build", cls=Verb)
@model_argument()
@output_option("ENGINE")
@click.option(
    "--backend",
    metavar="NAME",
    shell_complete=completer(BUILDER_NAMES),
    help=f"{' or '.join(BUILDER_NAMES)}; by default the first that can build on this machine. tensorrt-rtx "
    "needs no GPU for it.",
)
@shapes_option(
    "Of an input whose shape the model leaves open; a range as NAME:MIN:OPT:MAX.", value=shape_or_range
)
@plugins_option("A plugin library to use instead of the model's functions. tensorrt only.")
@click.option(
    "--timing-cache",
    metavar="FILE",
    shell_complete=complete_file,
    help="Measurements to reuse, and to write again. tensorrt only.",
)
@timeout_option("For loading the model, and for building.", BUILD_TIMEOUT)
@max_memory_option()
@json_option("the record there too")
def command(
    model: str,
    output: str,
    backend: str | None,
    shapes: Mapping[str, Sequence[int] | Range],
    plugins: Sequence[str],
    timing_cache: str | None,
    timeout: float,
    max_memory: int | None,
    json_path: str | None,
) -> None:
    """Build a TensorRT engine from MODEL.onnx, and put a record of it beside it, as ENGINE.json.

    The record holds the versions, the shapes, the plugins that the engine needs, the SHA-256 of the model,
    and every layer.

    Exit code: 0 built; 2 bad usage or bad input; 3 the backend refused the model, crashed, timed out or is
    not available.
    """
    from rich.console import Group
    from rich.text import Text

    from normdeploy.engine import build, text
    from normdeploy.resources import limit_memory, process_limit

    limit_memory(process_limit(max_memory))
    written = {"output": output, "timing-cache": timing_cache, "json": json_path}
    require_apart([model, *plugins], **written)
    with status("building the engine"):
        record = build(
            model,
            output,
            backend=backend,
            shapes=shapes,
            plugins=plugins,
            timing_cache=timing_cache,
            timeout=timeout,
            max_memory=max_memory,
        )
    wrote = Text(f"wrote {output} {text.made(record)}, and its record {output}.json")
    deliver(record, json_path, Group(wrote, text.contents(record)))
