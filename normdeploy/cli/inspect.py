"""`normdeploy inspect`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from normdeploy.choices import WORK_TIMEOUT
from normdeploy.cli.data_options import preprocess_options
from normdeploy.cli.options import (
    data_option,
    json_option,
    max_memory_option,
    model_argument,
    timeout_option,
)
from normdeploy.cli.output import deliver, progress_bar, require_apart
from normdeploy.cli.verb import Verb


@click.command(name="inspect", cls=Verb)
@model_argument()
@data_option(
    "Warn of half precision by these inputs (as `check` takes them); by default from the weights alone."
)
@preprocess_options()
@timeout_option("For reading the model, and for each batch of the data.", WORK_TIMEOUT)
@max_memory_option()
@json_option("what was found")
def command(
    model: str,
    data: str | None,
    preprocess: Any,
    timeout: float,
    max_memory: int | None,
    json_path: str | None,
) -> None:
    """Say what MODEL.onnx takes, gives and consists of, and list every normalization layer of it.

    Of each layer, in subgraphs and functions too: kind, parameters in ONNX's terms and the AlexNet paper's,
    how many numbers training changes, and which runtimes have an operator of their own for it.
    Warns of layers that half precision would spoil.
    """
    from normdeploy.inspection import inspect
    from normdeploy.resources import limit_memory, process_limit

    limit_memory(process_limit(max_memory))
    require_apart([model, data], json=json_path)
    with nullcontext() if data is None else progress_bar("inspecting") as progress:
        found = inspect(
            model,
            data=data,
            preprocess=preprocess,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
    deliver(found, json_path)
