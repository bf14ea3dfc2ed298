"""`normdeploy inspect`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from normdeploy.cli.data_options import preprocess_options
from normdeploy.cli.options import data_option, json_option, model_argument
from normdeploy.cli.output import deliver, progress_bar
from normdeploy.cli.verb import Verb


@click.command(name="inspect", cls=Verb)
@model_argument()
@data_option(
    "Warn of half precision by these inputs (as `check` takes them); by default from the weights alone."
)
@preprocess_options()
@json_option("the list")
def command(model: str, data: str | None, preprocess: Any, json_path: str | None) -> None:
    """List every normalization layer of MODEL.onnx, in subgraphs and functions too.

    Kind, parameters in ONNX's terms and the AlexNet paper's, how many numbers training changes, and which
    runtimes have an operator of their own for it. Warns of layers that half precision would spoil.
    """
    from normdeploy.inspection import inspect
    from normdeploy.resources import limit_memory

    limit_memory()
    with nullcontext() if data is None else progress_bar("inspecting") as progress:
        found = inspect(model, data=data, preprocess=preprocess, progress=progress)
    deliver(found, json_path)
