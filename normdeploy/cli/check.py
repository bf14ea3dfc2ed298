"""`normdeploy check`."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.markup import escape
from rich.table import Table

from normdeploy.backends.catalog import BACKENDS
from normdeploy.backends.worker_session import DEFAULT_TIMEOUT
from normdeploy.cli.output import STDOUT, console, progress_bar, show_warnings, write_json
from normdeploy.cli.parameters import SHAPE_METAVAR, by_name, named_shape
from normdeploy.errors import ExitCode
from normdeploy.files import write_text
from normdeploy.pages.charts import require_charts
from normdeploy.resources import limit_memory
from normdeploy.validation import BackendReport, CheckReport, OutputReport, check, page

_EXIT_CODES = {"pass": ExitCode.PASSED, "mismatch": ExitCode.FAILED, "error": ExitCode.UNAVAILABLE}
_COLOURS = {"pass": "green", "mismatch": "red", "crashed": "red", "timeout": "red", "unavailable": "yellow"}


@click.command(name="check")
@click.argument("model", metavar="MODEL.onnx")
@click.option("--reference", metavar="ORIGINAL.onnx", help="Run the reference on this file instead of MODEL.")
@click.option(
    "--backend",
    "backends",
    metavar="NAME",
    multiple=True,
    help=f"{', '.join(BACKENDS)}. May be repeated; by default all that work on this machine.",
)
@click.option(
    "--data",
    metavar="INPUTS.npz",
    help="One array per input, samples along its first axis; an array 'labels' adds accuracies. "
    "By default random inputs.",
)
@click.option("--samples", type=int, metavar="N", help="By default all of the data, or 8 random ones.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of random inputs.")
@click.option(
    "--shape",
    "shapes",
    type=named_shape,
    metavar=SHAPE_METAVAR,
    multiple=True,
    help="Of an input whose shape the model leaves open.",
)
@click.option("--rtol", type=float, help="Allow rtol * |reference| + atol; by default rounding is measured.")
@click.option("--atol", type=float, help="See --rtol.")
@click.option(
    "--plugin",
    "plugins",
    metavar="LIB.so",
    multiple=True,
    help="A plugin library for backends that can use it (tensorrt), instead of the model's functions.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="For loading the model, and for each batch.",
)
@click.option("--localize", is_flag=True, help="Name the first node that a backend computes wrongly.")
@click.option("--json", "json_path", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.option("--html", "html_path", metavar="FILE", help="Write the report as a page with charts.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    reference: str | None,
    backends: tuple[str, ...],
    data: str | None,
    samples: int | None,
    seed: int,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    rtol: float | None,
    atol: float | None,
    plugins: tuple[str, ...],
    timeout: float,
    localize: bool,
    json_path: str | None,
    html_path: str | None,
) -> None:
    """Compare what backends make of MODEL.onnx with the NumPy reference in float64.

    Exit code: 0 all passed; 1 a backend's numbers are wrong; 2 bad usage or bad input; 3 a backend crashed,
    timed out, or was asked for and is not available.
    """
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
            shapes=by_name(shapes),
            rtol=rtol,
            atol=atol,
            localize=localize,
            plugins=plugins,
            timeout=timeout,
            progress=progress,
        )
    if json_path is not None:
        write_json(json_path, report.to_json())
    if html_path is not None:
        write_text(html_path, page.html(report))
    if json_path != STDOUT:
        _show(report)
    ctx.exit(_EXIT_CODES[report.verdict])


def _show(report: CheckReport) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("backend", "status", "output", "type"):
        table.add_column(heading, overflow="fold")
    for heading in ("max abs\nerror", "max rel\nerror", "error /\nallowed", "NaN", "Inf"):
        table.add_column(heading, justify="right", no_wrap=True)
    for backend in report.backends:
        if backend.requested or backend.status != "unavailable":
            _add_rows(table, backend)

    out = console()
    out.print(_title(report), markup=False, soft_wrap=True)
    if table.rows:
        out.print(table)
    for line in _accuracies(report):
        out.print(line)
    for backend in report.backends:
        if backend.reason:
            out.print(f"{backend.name} {backend.status}: {backend.reason}", markup=False, soft_wrap=True)
        for line in backend.log:
            out.print(f"  | {line}", markup=False, style="dim", soft_wrap=True)
        if backend.first_divergence is not None:
            out.print(f"{backend.name} {page.divergence_line(backend)}", markup=False, soft_wrap=True)
    show_warnings(out, report.half_precision)
    out.print(f"verdict: [bold {'green' if report.verdict == 'pass' else 'red'}]{report.verdict}[/]")


def _title(report: CheckReport) -> str:
    against = "" if report.reference == report.model else f" against {report.reference}"
    return f"{report.model}{against}, {report.samples} sample{'s' * (report.samples != 1)}"


def _add_rows(table: Table, backend: BackendReport) -> None:
    status = f"[{_COLOURS[backend.status]}]{backend.status}[/]"
    if not backend.outputs:
        table.add_row(backend.name, status)
    for index, output in enumerate(backend.outputs):
        head = [backend.name, status] if index == 0 else ["", ""]
        table.add_row(*head, *_cells(output))


def _cells(output: OutputReport) -> list[str]:
    found = output.comparison
    return [
        escape(output.name),
        output.dtype,
        f"{found.max_abs_error:.2e}",
        f"{found.max_rel_error:.2e}",
        f"{found.noise_ratio:.3g}",
        str(found.nan),
        str(found.inf),
    ]


def _accuracies(report: CheckReport) -> Iterator[str]:
    """The accuracy before and after, where the data has labels."""
    if report.reference_accuracy is None:
        return
    yield f"accuracy of the reference: {report.reference_accuracy:.2%}"
    for backend in report.backends:
        if backend.accuracy is not None:
            yield f"accuracy of {backend.name}: {backend.accuracy:.2%}, flips: {backend.flips}"
