"""`normdeploy profile`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import click
from rich.markup import escape
from rich.table import Table

from normdeploy.backends.catalog import BACKENDS
from normdeploy.backends.worker_session import DEFAULT_TIMEOUT
from normdeploy.cli.output import STDOUT, console, progress_bar, write_json
from normdeploy.cli.parameters import SHAPE_METAVAR, by_name, named_shape
from normdeploy.errors import ExitCode, UsageError
from normdeploy.files import write_text
from normdeploy.profiling import BackendProfile, Profile, profile
from normdeploy.profiling.comparison import LatencyComparison
from normdeploy.profiling.layers import Layer
from normdeploy.profiling.page import html
from normdeploy.profiling.profiler import DEFAULT_DURATION
from normdeploy.profiling.report import LIMITED_PERCENTILE, mebibytes
from normdeploy.profiling.statistics import PERCENTILES, Summary
from normdeploy.resources import limit_memory

_MOST_LAYERS = 15
_SIZE = re.compile(r"[0-9]{1,9}")
_COLOURS = {"faster": "green", "slower": "red", "no difference": "dim"}


def _sizes(text: str) -> tuple[int, ...]:
    """1,2,4 -> (1, 2, 4)"""
    parts = text.split(",")
    if not all(_SIZE.fullmatch(part.strip()) for part in parts):
        raise click.BadParameter(f"'{text}' is not a list of sizes, such as 1,2,4,8,16")
    return tuple(int(part) for part in parts)


@click.command(name="profile")
@click.argument("model", metavar="MODEL.onnx")
@click.option("--against", metavar="OTHER.onnx", help="Time this model in turn with MODEL, and compare.")
@click.option(
    "--backend",
    "backends",
    metavar="NAME",
    multiple=True,
    help=f"{', '.join(BACKENDS)}. May be repeated; by default all that work on this machine.",
)
@click.option(
    "--shape",
    "shapes",
    type=named_shape,
    metavar=SHAPE_METAVAR,
    multiple=True,
    help="Of an input whose shape the model leaves open.",
)
@click.option("--batch", type=_sizes, metavar="1,2,4,8,16", help="Batch sizes to compare.")
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help=f"With --batch: name the best size whose {LIMITED_PERCENTILE}th percentile is within this.",
)
@click.option(
    "--duration",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_DURATION,
    show_default=True,
    help="For each backend, model and batch size, after its warm-up.",
)
@click.option("--layers", is_flag=True, help="Ask the runtime's own profiler where the time goes.")
@click.option("--baseline", metavar="OLD.json", help="Compare with an earlier profile's JSON.")
@click.option(
    "--max-regression",
    type=click.FloatRange(min=0),
    metavar="PERCENT",
    help="Exit with code 1 if anything compared is slower by more than this, beyond noise.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of random inputs.")
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="For loading the model, and for each run.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write the profile as JSON; - for standard output.")
@click.option("--html", "html_path", metavar="FILE", help="Write the profile as one self-contained page.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    against: str | None,
    backends: tuple[str, ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    batch: tuple[int, ...] | None,
    max_latency: float | None,
    duration: float,
    layers: bool,
    baseline: str | None,
    max_regression: float | None,
    seed: int,
    timeout: float,
    json_path: str | None,
    html_path: str | None,
) -> None:
    """Time MODEL.onnx in each backend, with intervals that hold on a noisy machine.

    Exit code: 0 measured; 1 a regression beyond --max-regression; 2 bad usage or bad input; 3 a backend
    crashed, timed out, or was asked for and is not available.
    """
    if max_latency is not None and batch is None:
        raise UsageError("--max-latency chooses among batch sizes: give them with --batch")
    if max_regression is not None and against is None and baseline is None:
        raise UsageError("--max-regression needs something to compare with: --baseline or --against")
    limit_memory()
    with progress_bar("profiling") as progress:
        result = profile(
            model,
            against=against,
            backends=backends or None,
            shapes=by_name(shapes),
            batches=batch,
            duration=duration,
            layers=layers,
            baseline=baseline,
            seed=seed,
            timeout=timeout,
            progress=progress,
        )
    if json_path is not None:
        write_json(json_path, result.to_json())
    if html_path is not None:
        write_text(html_path, html(result, max_latency))
    if json_path != STDOUT:
        _show(result, max_latency)
    ctx.exit(_exit_code(result, max_regression))


def _exit_code(result: Profile, max_regression: float | None) -> ExitCode:
    if max_regression is not None and result.regressions(max_regression):
        return ExitCode.FAILED
    return ExitCode.UNAVAILABLE if result.failed else ExitCode.PASSED


def _show(result: Profile, max_latency: float | None) -> None:
    out = console()
    measured = [backend for backend in result.backends if backend.latency]
    out.print(result.model, markup=False, soft_wrap=True)
    if measured:
        out.print(_table(result, measured, _LATENCY, _latency))
        out.print(_table(result, measured, _REST, _rest))
    for backend in measured:
        if backend.disturbance:
            text = f"{result.label(backend)}: not stable: {backend.disturbance}"
            out.print(text, markup=False, soft_wrap=True)
    for backend in measured:
        if backend.cuda_graph is False:
            text = f"{result.label(backend)}: without a CUDA graph: {backend.cuda_graph_refusal}"
            out.print(text, markup=False, soft_wrap=True)
    for backend in measured:
        if backend.layers is not None:
            out.print(_layers(result.label(backend), backend.layers, backend.copy_bandwidth))
    for line in _best_batches(result, max_latency):
        out.print(line, markup=False, soft_wrap=True)
    for change in result.changes:
        sized = "" if change.batch is None else f" batch {change.batch}"
        out.print(f"{change.name}{sized} against {change.against}:", markup=False, soft_wrap=True)
        for quantity in change.quantities:
            out.print(_changed(quantity), soft_wrap=True)
    for note in result.notes:
        out.print(f"note: {note}", markup=False, soft_wrap=True)
    for backend in result.backends:
        if backend.reason and (backend.requested or backend.status != "unavailable"):
            text = f"{result.label(backend)} {backend.status}: {backend.reason}"
            out.print(text, markup=False, soft_wrap=True)
        for line in backend.log:
            out.print(f"  | {line}", markup=False, style="dim", soft_wrap=True)
    if not measured:
        out.print("no backend was measured: run  normdeploy doctor", markup=False)


_LATENCY = ("mean ms", "± 95 %", "min", *(f"p{p}" for p in PERCENTILES), "max")
_REST = ("runs", "cv", "per s", "first ms", "build ms", "peak MiB", "GPU MiB")


def _table(
    result: Profile,
    measured: Sequence[BackendProfile],
    headings: Sequence[str],
    cells: Callable[[BackendProfile, Summary], Iterator[str]],
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for backend in measured:
        assert backend.latency is not None
        table.add_row(escape(result.label(backend)), *cells(backend, backend.latency))
    return table


def _latency(_: BackendProfile, latency: Summary) -> Iterator[str]:
    half = (latency.mean_ci95[1] - latency.mean_ci95[0]) / 2
    yield f"{latency.mean:.4g}"
    yield f"{half:.2g}"
    for value in (latency.minimum, *latency.percentiles.values(), latency.maximum):
        yield f"{value:.4g}"


def _rest(backend: BackendProfile, latency: Summary) -> Iterator[str]:
    yield str(latency.runs)
    yield f"{latency.cv:.0%}"
    yield f"{backend.throughput_per_s:.4g}"
    yield f"{backend.first_ms:.4g}"
    yield f"{backend.build_ms:.4g}"
    yield mebibytes(backend.peak_memory_bytes)
    yield mebibytes(backend.peak_device_memory_bytes)


def _layers(label: str, layers: Sequence[Layer], copy_bandwidth: float | None) -> Table:
    title = escape(f"{label}: {len(layers)} steps of the runtime")
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("step", overflow="fold")
    table.add_column("operator")
    table.add_column("mean ms", justify="right")
    table.add_column("share", justify="right")
    table.add_column("nodes of the model", overflow="fold")
    if copy_bandwidth is not None:
        table.caption = (
            f"floor: bytes in and out once, at the {copy_bandwidth / 1e9:.0f} GB/s of copies in GPU memory"
        )
        table.caption_justify = "left"
        table.add_column("floor ms", justify="right")
        table.add_column("floor/measured", justify="right")
    shown = sorted(layers, key=lambda layer: -layer.mean_ms)
    for layer in shown[:_MOST_LAYERS]:
        style = "bold" if layer.normalization and not layer.fused else None
        nodes = ", ".join(layer.nodes) + (f" ({layer.normalization})" if layer.normalization else "")
        table.add_row(
            escape(layer.name),
            layer.op_type,
            f"{layer.mean_ms:.3g}",
            f"{layer.share:.1%}",
            escape(nodes),
            *_floor(layer, copy_bandwidth),
            style=style,
        )
    rest = shown[_MOST_LAYERS:]
    if rest:
        time, share = sum(layer.mean_ms for layer in rest), sum(layer.share for layer in rest)
        table.add_row(f"{len(rest)} others", "", f"{time:.3g}", f"{share:.1%}", "")
    normalized = sum(layer.share for layer in layers if layer.normalization and not layer.fused)
    table.add_row("normalization on its own", "", "", f"{normalized:.1%}", "")
    return table


def _floor(layer: Layer, copy_bandwidth: float | None) -> Iterator[str]:
    """The cells of the roofline; none where no step has one."""
    if copy_bandwidth is not None:
        yield f"{layer.roofline.floor_ms:.3g}" if layer.roofline else ""
        yield f"{layer.roofline.share:.0%}" if layer.roofline else ""


def _best_batches(result: Profile, max_latency: float | None) -> Iterator[str]:
    for name in dict.fromkeys(
        backend.name for backend in result.backends if backend.batch and backend.latency
    ):
        best = result.best_batch(name, max_latency)
        limit = "" if max_latency is None else f" with p{LIMITED_PERCENTILE} within {max_latency:g} ms"
        if best is None:
            yield f"{name}: no batch size{limit}"
        else:
            yield f"{name}: best batch{limit}: {best.batch}, {best.throughput_per_s:.4g} per s"


def _changed(quantity: LatencyComparison) -> str:
    low, high = quantity.interval
    return (
        f"  {quantity.name:4} {quantity.before:.4g} -> {quantity.now:.4g} ms, ratio {quantity.ratio:.3f} "
        f"({low:.3f} to {high:.3f}, 99 %): [{_COLOURS[quantity.verdict]}]{quantity.account}[/]"
    )
