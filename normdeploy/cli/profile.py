"""`normdeploy profile`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from normdeploy.choices import LIMITED_PERCENTILE, PROFILE_DURATION
from normdeploy.cli.options import (
    CommaSeparated,
    Number,
    backends_option,
    complete_file,
    html_option,
    json_option,
    max_memory_option,
    model_argument,
    seed_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, progress_bar, require_apart
from normdeploy.cli.verb import Verb
from normdeploy.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from normdeploy.profiling import Profile

_SIZE = re.compile(r"[0-9]{1,9}")


def _sizes(text: str) -> tuple[int, ...]:
    """1,2,4 -> (1, 2, 4)"""
    parts = text.split(",")
    if not all(_SIZE.fullmatch(part.strip()) for part in parts):
        raise click.BadParameter(f"'{text}' is not a list of sizes, such as 1,2,4,8,16")
    return tuple(int(part) for part in parts)


@click.command(name="profile", cls=Verb)
@model_argument()
@click.option(
    "--against",
    metavar="OTHER.onnx",
    shell_complete=complete_file,
    help="Time this model in turn with MODEL, and compare.",
)
@backends_option()
@shapes_option()
@click.option(
    "--batch",
    "batches",
    cls=CommaSeparated,
    type=_sizes,
    metavar="1,2,4,8,16",
    help="Batch sizes to compare.",
)
@click.option(
    "--max-latency",
    type=Number(min=0, min_open=True),
    metavar="MS",
    help=f"With --batch: name the best size whose {LIMITED_PERCENTILE}th percentile is within this.",
)
@click.option(
    "--duration",
    type=float,
    metavar="SECONDS",
    default=PROFILE_DURATION,
    show_default=True,
    help="For each backend, model and batch size, after its warm-up.",
)
@click.option("--layers", is_flag=True, help="Ask the runtime's own profiler where the time goes.")
@click.option(
    "--baseline",
    metavar="OLD.json",
    shell_complete=complete_file,
    help="Compare with an earlier profile's JSON.",
)
@click.option(
    "--max-regression",
    type=Number(min=0),
    metavar="PERCENT",
    help="Exit with code 1 if anything compared is slower by more than this, beyond noise.",
)
@seed_option()
@timeout_option("For loading the model, and for each run.")
@max_memory_option()
@json_option("the profile")
@html_option("the profile")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    against: str | None,
    backends: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
    batches: Sequence[int] | None,
    max_latency: float | None,
    duration: float,
    layers: bool,
    baseline: str | None,
    max_regression: float | None,
    seed: int,
    timeout: float,
    max_memory: int | None,
    json_path: str | None,
    html_path: str | None,
) -> None:
    """Time MODEL.onnx in each backend, with intervals that hold on a noisy machine.

    Exit code: 0 measured; 1 a regression beyond --max-regression; 2 bad usage or bad input; 3 a backend
    crashed, timed out, or was asked for and is not available.
    """
    from normdeploy.profiling import profile
    from normdeploy.resources import limit_memory, process_limit

    if max_latency is not None and batches is None:
        raise UsageError("--max-latency chooses among batch sizes: give them with --batch")
    if max_regression is not None and against is None and baseline is None:
        raise UsageError("--max-regression needs something to compare with: --baseline or --against")
    limit_memory(process_limit(max_memory))
    require_apart([model, against], json=json_path, html=html_path)
    with progress_bar("profiling") as progress:
        result = profile(
            model,
            against=against,
            backends=backends or None,
            shapes=shapes,
            batches=batches,
            duration=duration,
            layers=layers,
            baseline=baseline,
            seed=seed,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
    _deliver(result, max_latency, json_path, html_path)
    ctx.exit(_exit_code(result, max_regression))


def _deliver(
    result: Profile, max_latency: float | None, json_path: str | None, html_path: str | None
) -> None:
    from normdeploy.files import write_text
    from normdeploy.profiling.text import render

    if html_path is not None:
        write_text(html_path, result.html(max_latency))
    deliver(result, json_path, render(result, max_latency), html_path)


def _exit_code(result: Profile, max_regression: float | None) -> ExitCode:
    if max_regression is not None and result.regressions(max_regression):
        return ExitCode.FAILED
    return ExitCode.UNAVAILABLE if result.failed else ExitCode.PASSED
