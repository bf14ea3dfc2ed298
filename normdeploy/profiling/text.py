"""A profile as lines and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from normdeploy.choices import LIMITED_PERCENTILE
from normdeploy.profiling.statistics import PERCENTILES, Summary

if TYPE_CHECKING:
    from normdeploy.profiling.comparison import LatencyComparison
    from normdeploy.profiling.layers import Layer
    from normdeploy.profiling.report import BackendProfile, Profile

_MOST_LAYERS = 15
_COLOURS = {"faster": "green", "slower": "red", "no difference": "dim"}
_LATENCY = ("mean ms", "± 95 %", "min", *(f"p{p}" for p in PERCENTILES), "max")
_REST = ("runs", "cv", "per s", "first ms", "build ms", "peak MiB", "GPU MiB")


def render(profile: Profile, max_latency: float | None = None) -> RenderableType:
    """Latencies, layers, batch sizes, comparisons, and what could not be measured.

    Args:
        profile: what to show.
        max_latency: milliseconds, for the choice of a batch size.
    """
    return Group(*_measured(profile), *_compared(profile, max_latency), *_failed(profile))


def best_batch(profile: Profile, name: str, max_latency: float | None) -> str:
    """Which batch size of a backend has the highest throughput, and that, or that there is none."""
    best = profile.best_batch(name, max_latency)
    limit = "" if max_latency is None else f" with p{LIMITED_PERCENTILE} within {max_latency:g} ms"
    if best is None:
        return f"{name}: no batch size{limit}"
    return f"{name}: best batch{limit}: {best.batch}, {best.throughput_per_s:.4g} per s"


def mebibytes(nbytes: int | None) -> str:
    """In MiB, "-" for what is not known."""
    return "-" if nbytes is None else f"{nbytes / 2**20:.0f}"


def _measured(profile: Profile) -> Iterator[RenderableType]:
    yield Text(profile.model)
    measured = [backend for backend in profile.backends if backend.latency]
    if measured:
        yield _table(profile, measured, _LATENCY, _latency)
        yield _table(profile, measured, _REST, _rest)
    for backend in measured:
        if backend.disturbance:
            yield Text(f"{profile.label(backend)}: not stable: {backend.disturbance}")
    for backend in measured:
        if backend.cuda_graph is False:
            yield Text(f"{profile.label(backend)}: without a CUDA graph: {backend.cuda_graph_refusal}")
    for backend in measured:
        if backend.layers is not None:
            yield _layers(profile.label(backend), backend.layers, backend.copy_bandwidth)


def _compared(profile: Profile, max_latency: float | None) -> Iterator[RenderableType]:
    sized = (backend.name for backend in profile.backends if backend.batch and backend.latency)
    for name in dict.fromkeys(sized):
        yield Text(best_batch(profile, name, max_latency))
    for change in profile.changes:
        batch = "" if change.batch is None else f" batch {change.batch}"
        yield Text(f"{change.name}{batch} against {change.against}:")
        yield from map(_changed, change.quantities)
    for note in profile.notes:
        yield Text(f"note: {note}")


def _failed(profile: Profile) -> Iterator[RenderableType]:
    for backend in profile.backends:
        if backend.reason and (backend.requested or backend.status != "unavailable"):
            yield Text(f"{profile.label(backend)} {backend.status}: {backend.reason}")
        for line in backend.log:
            yield Text(f"  | {line}", "dim")
    if not any(backend.latency for backend in profile.backends):
        yield Text("no backend was measured: run  normdeploy doctor")


def _plain_table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim")


def _table(
    profile: Profile,
    measured: Sequence[BackendProfile],
    headings: Sequence[str],
    cells: Callable[[BackendProfile, Summary], Iterator[str]],
) -> Table:
    table = _plain_table()
    table.add_column("", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for backend in measured:
        assert backend.latency is not None
        table.add_row(escape(profile.label(backend)), *cells(backend, backend.latency))
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
    table = _plain_table()
    table.title, table.title_justify = escape(f"{label}: {len(layers)} steps of the runtime"), "left"
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
    slowest_first = sorted(layers, key=lambda layer: -layer.mean_ms)
    for layer in slowest_first[:_MOST_LAYERS]:
        style = "bold" if layer.normalization and not layer.fused else None
        table.add_row(*_layer(layer, copy_bandwidth), style=style)
    rest = slowest_first[_MOST_LAYERS:]
    if rest:
        time, share = sum(layer.mean_ms for layer in rest), sum(layer.share for layer in rest)
        table.add_row(f"{len(rest)} others", "", f"{time:.3g}", f"{share:.1%}", "")
    normalized = sum(layer.share for layer in layers if layer.normalization and not layer.fused)
    table.add_row("normalization on its own", "", "", f"{normalized:.1%}", "")
    return table


def _layer(layer: Layer, copy_bandwidth: float | None) -> Iterator[str]:
    """A step's cells; those of the roofline only where the device's bandwidth is known."""
    yield escape(layer.name)
    yield layer.op_type
    yield f"{layer.mean_ms:.3g}"
    yield f"{layer.share:.1%}"
    yield escape(", ".join(layer.nodes) + (f" ({layer.normalization})" if layer.normalization else ""))
    if copy_bandwidth is not None:
        yield f"{layer.roofline.floor_ms:.3g}" if layer.roofline else ""
        yield f"{layer.roofline.share:.0%}" if layer.roofline else ""


def _changed(quantity: LatencyComparison) -> Text:
    low, high = quantity.interval
    return Text.assemble(
        f"  {quantity.name:4} {quantity.before:.4g} -> {quantity.now:.4g} ms, ratio {quantity.ratio:.3f} "
        f"({low:.3f} to {high:.3f}, 99 %): ",
        (quantity.account, _COLOURS[quantity.verdict]),
    )
