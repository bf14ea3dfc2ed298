"""`normdeploy check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from normdeploy.cli.options import (
    backends_option,
    complete_file,
    data_option,
    html_option,
    json_option,
    model_argument,
    plugins_option,
    seed_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, progress_bar
from normdeploy.cli.verb import Verb, Verbosity, verbosity
from normdeploy.errors import ExitCode

_EXIT_CODES = {"pass": ExitCode.PASSED, "mismatch": ExitCode.FAILED, "error": ExitCode.UNAVAILABLE}


@click.command(name="check", cls=Verb)
@model_argument()
@click.option(
    "--reference",
    metavar="ORIGINAL.onnx",
    shell_complete=complete_file,
    help="Run the reference on this file instead of MODEL.",
)
@backends_option()
@data_option(
    "One array per input, samples along its first axis; an array 'labels' adds accuracies. "
    "By default random inputs."
)
@click.option("--samples", type=int, metavar="N", help="By default all of the data, or 8 random ones.")
@seed_option()
@shapes_option()
@click.option(
    "--rtol",
    type=float,
    metavar="R",
    help="Allow rtol * |reference| + atol; by default rounding is measured.",
)
@click.option("--atol", type=float, metavar="A", help="See --rtol.")
@plugins_option("A plugin library for backends that can use it (tensorrt), instead of the model's functions.")
@timeout_option("For loading the model, and for each batch.")
@click.option("--localize", is_flag=True, help="Name the first node that a backend computes wrongly.")
@json_option("the report")
@click.option(
    "--junit",
    "junit_path",
    metavar="FILE",
    shell_complete=complete_file,
    help="Write the report as JUnit XML, a test case for each backend and output.",
)
@html_option("the report")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    reference: str | None,
    backends: Sequence[str],
    data: str | None,
    samples: int | None,
    seed: int,
    shapes: Mapping[str, Sequence[int]],
    rtol: float | None,
    atol: float | None,
    plugins: Sequence[str],
    timeout: float,
    localize: bool,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
) -> None:
    """Compare what backends make of MODEL.onnx with the NumPy reference in float64.

    Exit code: 0 all passed; 1 a backend's numbers are wrong; 2 bad usage or bad input; 3 a backend crashed,
    timed out, or was asked for and is not available.
    """
    from normdeploy.pages.charts import require_charts
    from normdeploy.resources import limit_memory
    from normdeploy.validation import check, text

    if html_path is not None:
        require_charts()
    limit_memory()
    with progress_bar("checking") as progress:
        report = check(
            model,
            reference=reference,
            backends=backends or None,
            data=data,
            samples=samples,
            seed=seed,
            shapes=shapes,
            rtol=rtol,
            atol=atol,
            localize=localize,
            plugins=plugins,
            timeout=timeout,
            progress=progress,
        )
    if html_path is not None:
        report.to_html(html_path)
    if junit_path is not None:
        report.to_junit(junit_path)
    deliver(report, json_path, text.render(report, verbose=verbosity() is Verbosity.VERBOSE))
    ctx.exit(_EXIT_CODES[report.verdict])
