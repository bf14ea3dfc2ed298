"""`normdeploy optimize`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import click

from normdeploy.choices import WORK_TIMEOUT, Target
from normdeploy.cli.options import (
    json_option,
    max_memory_option,
    model_argument,
    output_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, require_apart, stages
from normdeploy.cli.verb import Verb


@click.command(name="optimize", cls=Verb)
@model_argument("IN.onnx")
@output_option("OUT.onnx", "The file to write; may be IN.onnx.")
@click.option(
    "--target",
    type=click.Choice(get_args(Target)),
    default="portable",
    show_default=True,
    help="What runs the result: any runtime, onnxruntime's CPU, or TensorRT.",
)
@click.option(
    "--explain", is_flag=True, help="Say what became of each BatchNorm and LRN, and why; count the operators."
)
@json_option("the report")
@click.option("--no-verify", is_flag=True, help="Do not compute the model before and after and compare.")
@shapes_option("Of an input whose shape the model leaves open, for the comparison.")
@timeout_option("For rewriting the model, and for the comparison.", WORK_TIMEOUT)
@max_memory_option()
def command(
    model: str,
    output: str,
    target: Target,
    explain: bool,
    json_path: str | None,
    no_verify: bool,
    shapes: Mapping[str, Sequence[int]],
    timeout: float,
    max_memory: int | None,
) -> None:
    """Fold BatchNorm, recover LRN and tidy up an ONNX model.

    The result is computed before and after in float64 on random inputs, and not written if it differs by
    more than rounding.
    """
    from rich.console import Group
    from rich.text import Text

    from normdeploy.passes import optimize, text
    from normdeploy.resources import limit_memory, process_limit

    limit_memory(process_limit(max_memory))
    require_apart([model], output=output, json=json_path)
    with stages("optimizing") as progress:
        result = optimize(
            model,
            target=target,
            verify=not no_verify,
            shapes=shapes,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
        progress("writing")
        result.save(output)
    verified = "" if no_verify else f", verified{_aside(result.unverified)}"
    wrote = f"wrote {output}: {text.summary(result.report)}{verified}"
    explanation = [text.explanation(result.report), text.operators(result.report)] if explain else []
    deliver(result, json_path, Group(Text(wrote), *explanation), output)


def _aside(unverified: Sequence[str]) -> str:
    """What the verification says nothing of."""
    if not unverified:
        return ""
    names = ", ".join(f"'{name}'" for name in unverified)
    return f" but for {names} (no finite number on random inputs)"
