"""`normdeploy reduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from normdeploy.choices import BACKEND_NAMES
from normdeploy.cli.data_options import map_option, preprocess_options
from normdeploy.cli.options import (
    complete_file,
    completer,
    data_option,
    json_option,
    max_memory_option,
    model_argument,
    output_option,
    plugins_option,
    seed_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, require_apart, stages
from normdeploy.cli.verb import Verb


@click.command(name="reduce", cls=Verb)
@model_argument()
@output_option(
    "SMALL.onnx",
    "The file to write; beside it SMALL.npz, the inputs, SMALL.expected.npz, the right outputs, SMALL.md, a "
    "text for an issue, and SMALL.reference.onnx, where the graphs differ.",
)
@click.option(
    "--reference",
    metavar="ORIGINAL.onnx",
    shell_complete=complete_file,
    help="Look for the nodes in which MODEL differs from this file.",
)
@click.option(
    "--backend",
    metavar="NAME",
    shell_complete=completer(BACKEND_NAMES),
    help=f"Look for the nodes that it computes wrongly, or at which it crashes: {', '.join(BACKEND_NAMES)}. "
    "With --reference too, only if the graphs agree.",
)
@data_option("Inputs on which it fails, as `check` takes them. By default random ones.")
@preprocess_options()
@click.option("--samples", type=int, metavar="N", help="By default all of the data, or 8 random ones.")
@seed_option()
@shapes_option()
@map_option()
@click.option(
    "--rtol",
    type=float,
    metavar="R",
    help="Count as a failure only what also exceeds rtol * |reference| + atol.",
)
@click.option("--atol", type=float, metavar="A", help="See --rtol.")
@plugins_option("A plugin library for backends that can use it (tensorrt), instead of the model's functions.")
@timeout_option("For loading a model, and for each run, in a backend and in the reference.")
@max_memory_option()
@json_option("what is left")
def command(
    model: str,
    output: str,
    reference: str | None,
    backend: str | None,
    data: str | None,
    preprocess: Any,
    samples: int | None,
    seed: int,
    shapes: Mapping[str, Sequence[int]],
    names: Mapping[str, str],
    rtol: float | None,
    atol: float | None,
    plugins: Sequence[str],
    timeout: float,
    max_memory: int | None,
    json_path: str | None,
) -> None:
    """Write the smallest file that fails as MODEL.onnx does: a few nodes, with their data.

    What is written has been run again in a fresh process, and failed.

    Exit code: 0 written; 2 bad usage or bad input, or nothing fails, so that there is nothing to write; 3 the
    backend is not available.
    """
    from normdeploy.resources import limit_memory, process_limit
    from normdeploy.validation.reduction import reduce

    limit_memory(process_limit(max_memory))
    reads = (model, reference, data, preprocess if isinstance(preprocess, str) else None, *plugins)
    require_apart(reads, output=output, json=json_path)
    with stages("reducing") as progress:
        found = reduce(
            model,
            output,
            reference=reference,
            backend=backend,
            data=data,
            preprocess=preprocess,
            samples=samples,
            seed=seed,
            shapes=shapes,
            map=names,
            rtol=rtol,
            atol=atol,
            plugins=plugins,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
    deliver(found, json_path)
