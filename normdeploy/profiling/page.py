"""A profile as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from normdeploy.choices import LIMITED_PERCENTILE
from normdeploy.pages import Cell, Page, Svg, Tone, charts
from normdeploy.profiling.statistics import PERCENTILES, Floats, Summary
from normdeploy.profiling.text import best_batch, mebibytes

if TYPE_CHECKING:
    from normdeploy.profiling.comparison import LatencyComparison
    from normdeploy.profiling.layers import Layer
    from normdeploy.profiling.report import BackendProfile, Change, Profile

_POINTS = 400
"""Points of a line: enough for a screen, few enough for a page."""

_VISIBLE_PAUSE = 0.01
"""Of the time axis: where nothing ran for longer, a line is broken. Shorter ones are three pixels at most."""

_BINS = 60
_BARS = 20
_WIDE_RANGE = 8.0
"""Slowest over median beyond which an axis is logarithmic."""

_TONES: dict[str, Tone] = {"faster": "good", "slower": "bad", "no difference": "note"}
_BAD = {"faster": 0, "no difference": 1, "slower": 2}
_LATENCY = ("runs", "mean ms", "95 % from", "to", "min", *(f"p{p}" for p in PERCENTILES), "max", "per second")
_REST = ("first run ms", "build ms", "warm-up runs", "peak memory MiB", "GPU memory MiB", "CUDA graph")
_CHANGES = ("", "", "before ms", "now ms", "now / before", "99 % interval", "verdict")
_LAYERS = ("step", "operator", "mean ms", "share", "nodes of the model", "normalization")
_ROOFLINE = ("floor ms", "floor/measured")


def html(profile: Profile, max_latency: float | None = None) -> str:
    """The whole page.

    Args:
        profile: what to show.
        max_latency: milliseconds, for the choice of a batch size.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    page = Page("normdeploy profile", profile.model)
    measured = [backend for backend in profile.backends if backend.latency is not None]
    _add_verdict(page, profile, measured)
    if measured:
        _add_latency(page, profile, measured)
    _add_changes(page, profile)
    _add_batches(page, profile, max_latency)
    for backend in measured:
        _add_layers(page, profile, backend)
    _add_failures(page, profile)
    _add_environment(page, profile)
    return page.html()


def _add_verdict(page: Page, profile: Profile, measured: Sequence[BackendProfile]) -> None:
    unstable = [backend for backend in measured if backend.disturbance]
    if not measured:
        page.add_badge("nothing was measured", "bad")
    elif any(change.quantities for change in profile.changes):
        page.add_badge(*_comparison(profile))
    elif unstable:
        page.add_badge("not stable", "warn")
    else:
        page.add_badge("stable", "good")
    for backend in unstable:
        page.add_text(f"{profile.label(backend)}: {backend.disturbance}.", "warn")


def _comparison(profile: Profile) -> tuple[str, Tone]:
    """The worst of what was compared, in words."""
    change, worst = max(
        ((change, quantity) for change in profile.changes for quantity in change.quantities),
        key=lambda compared: _badness(compared[1]),
    )
    what = " ".join([_compared(change), worst.name] if len(profile.changes) > 1 else [worst.name])
    ratio = f"{what} is {worst.ratio:.3f} times that of {Path(change.against).name}"
    return f"{worst.account} ({ratio})", _TONES[worst.verdict]


def _badness(quantity: LatencyComparison) -> tuple[int, float]:
    """By the verdict, then the ratio; where nothing differs, by how well that is known, since a 99th
    percentile of a few runs may have any ratio.
    """
    if quantity.verdict == "no difference":
        low, high = quantity.interval
        return _BAD[quantity.verdict], low - high
    return _BAD[quantity.verdict], quantity.ratio


def _compared(change: Change) -> str:
    return change.name if change.batch is None else f"{change.name} batch {change.batch}"


def _add_latency(page: Page, profile: Profile, measured: Sequence[BackendProfile]) -> None:
    page.add_heading("Latency")
    page.add_table(("backend", *_LATENCY), [list(_latency(profile, backend)) for backend in measured])
    page.add_table(("backend", *_REST), [list(_rest(profile, backend)) for backend in measured])
    page.add_figure(_distributions(profile, measured), "Share of runs within a latency")
    for backend in measured:
        page.add_figure(_over_time(backend), f"{profile.label(backend)}: latency over time")
        page.add_figure(_histogram(backend), f"{profile.label(backend)}: distribution")


def _latency(profile: Profile, backend: BackendProfile) -> Iterator[str]:
    latency = backend.latency
    assert latency is not None
    yield profile.label(backend)
    yield str(latency.runs)
    for value in (latency.mean, *latency.mean_ci95, latency.minimum, *latency.percentiles.values()):
        yield f"{value:.4g}"
    yield f"{latency.maximum:.4g}"
    yield f"{backend.throughput_per_s:.4g}"


def _rest(profile: Profile, backend: BackendProfile) -> Iterator[str]:
    yield profile.label(backend)
    yield f"{backend.first_ms:.4g}"
    yield f"{backend.build_ms:.4g}"
    yield str(backend.warm_up.runs) if backend.warm_up else "-"
    yield mebibytes(backend.peak_memory_bytes)
    yield mebibytes(backend.peak_device_memory_bytes)
    yield {None: "-", True: "yes", False: "no"}[backend.cuda_graph]


def _distributions(profile: Profile, measured: Sequence[BackendProfile]) -> Svg:
    shares = np.linspace(0, 1, _POINTS)
    series = {
        profile.label(backend): (np.quantile(_latencies(backend), shares), shares) for backend in measured
    }
    return charts.lines(series, x="ms", y="share of runs", log_x=_is_wide(measured))


def _over_time(backend: BackendProfile) -> Svg:
    latencies = _latencies(backend)
    times, middle, slowest = over_time(np.concatenate(backend.measured.began), latencies)
    series = {"median": (times, middle)}
    if np.isfinite(times).sum() < latencies.size:
        series["slowest"] = (times, slowest)
    return charts.lines(series, x="s", y="ms", log_y=_is_wide([backend]))


def over_time(began: Floats, latencies: Floats) -> tuple[Floats, Floats, Floats]:
    """The points of a line of latencies over time, with NaN where time was spent on something else.

    Args:
        began: seconds at which each run began.
        latencies: milliseconds of each run.

    Returns:
        Seconds since the first run; the median and the largest latency of the runs that a point stands for.
    """
    ended = began + latencies / 1000
    whole = ended[-1] - began[0]
    pauses = began[1:] - ended[:-1] > _VISIBLE_PAUSE * whole
    points: list[tuple[float, float, float]] = []
    for piece in np.split(np.arange(began.size), np.flatnonzero(pauses) + 1):
        share = (ended[piece[-1]] - began[piece[0]]) / whole
        for bucket in np.array_split(piece, min(piece.size, math.ceil(_POINTS * share))):
            seen = latencies[bucket]
            points.append((float(began[bucket[0]] - began[0]), float(np.median(seen)), float(seen.max())))
        points.append((math.nan, math.nan, math.nan))
    times, middle, slowest = np.array(points[:-1]).T
    return times, middle, slowest


def _histogram(backend: BackendProfile) -> Svg:
    latencies, wide = _latencies(backend), _is_wide([backend])
    low, high = float(latencies.min()), float(latencies.max()) * (1 + 1e-9)
    edges = np.geomspace(low, high, _BINS) if wide else np.linspace(low, max(high, low + 1e-9), _BINS)
    counts, _ = np.histogram(latencies, edges)
    assert backend.latency is not None
    marks = {f"p{p}": backend.latency.percentiles[p] for p in (PERCENTILES[0], PERCENTILES[-1])}
    return charts.histogram(edges, counts, x="ms", y="runs", log_x=wide, marks=marks)


def _add_changes(page: Page, profile: Profile) -> None:
    rows: list[list[str | Cell]] = []
    for change in profile.changes:
        for quantity in change.quantities:
            rows.append(
                [
                    f"{_compared(change)} against {change.against}",
                    quantity.name,
                    f"{quantity.before:.4g}",
                    f"{quantity.now:.4g}",
                    f"{quantity.ratio:.3f}",
                    f"{quantity.interval[0]:.3f} to {quantity.interval[1]:.3f}",
                    Cell(quantity.account, _TONES[quantity.verdict]),
                ]
            )
    if not rows and not profile.notes:
        return
    page.add_heading("Comparison")
    if rows:
        page.add_table(_CHANGES, rows)
    for note in profile.notes:
        page.add_text(note, "note")


def _add_batches(page: Page, profile: Profile, max_latency: float | None) -> None:
    series: dict[str, tuple[list[float], list[float]]] = {}
    for backend in profile.backends:
        if backend.batch is not None and backend.latency is not None and backend.model == profile.model:
            across, up = series.setdefault(backend.name, ([], []))
            across.append(backend.latency.percentiles[LIMITED_PERCENTILE])
            up.append(backend.throughput_per_s or 0.0)
    if not series:
        return
    page.add_heading("Batch sizes")
    for name in series:
        page.add_text(best_batch(profile, name, max_latency))
    figure = charts.lines(
        series, x=f"p{LIMITED_PERCENTILE} ms", y="samples per second", points=True, limit=max_latency
    )
    page.add_figure(figure, "Throughput against latency")


def _add_layers(page: Page, profile: Profile, backend: BackendProfile) -> None:
    if not backend.layers:
        return
    page.add_heading(f"Layers: {profile.label(backend)}")
    layers = sorted(backend.layers, key=lambda layer: -layer.mean_ms)
    labels = [
        f"{'★ ' if layer.normalization and not layer.fused else ''}{', '.join(layer.nodes) or layer.name}"
        for layer in layers[:_BARS]
    ]
    figure = charts.bars(labels, [layer.mean_ms for layer in layers[:_BARS]], x="ms")
    page.add_figure(figure, "Slowest steps; ★ normalization")
    has_floors = any(layer.roofline for layer in layers)
    rows = [[*_layer(layer), *(_floor(layer) if has_floors else ())] for layer in layers]
    page.add_table((*_LAYERS, *(_ROOFLINE if has_floors else ())), rows)


def _layer(layer: Layer) -> Iterator[str]:
    yield layer.name
    yield layer.op_type
    yield f"{layer.mean_ms:.3g}"
    yield f"{layer.share:.1%}"
    yield ", ".join(layer.nodes)
    yield f"{layer.normalization}{', fused' * layer.fused}" if layer.normalization else ""


def _floor(layer: Layer) -> tuple[str, str]:
    """How fast the memory lets a step be, where that is known."""
    found = layer.roofline
    return (f"{found.floor_ms:.3g}", f"{found.share:.0%}") if found else ("", "")


def _add_failures(page: Page, profile: Profile) -> None:
    failed = [backend for backend in profile.backends if backend.latency is None]
    if failed:
        page.add_heading("Not measured")
        page.add_table(
            ["backend", "status", "reason"],
            [[profile.label(backend), backend.status, backend.reason] for backend in failed],
        )


def _add_environment(page: Page, profile: Profile) -> None:
    page.add_heading("Measured on")
    rows = [
        [name, _fact(value)] for name, value in profile.environment.items() if value not in (None, [], {})
    ]
    versions = {
        library: version for backend in profile.backends for library, version in backend.versions.items()
    }
    page.add_table(["what", "value"], [*rows, *([name, value] for name, value in versions.items())])


def _fact(value: object) -> str:
    """A value of the environment in words: numbers short, what is listed with commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _latencies(backend: BackendProfile) -> Floats:
    return np.concatenate(backend.measured.latency)


def _is_wide(backends: Sequence[BackendProfile]) -> bool:
    summaries: list[Summary] = [backend.latency for backend in backends if backend.latency is not None]
    fastest = min(summary.percentiles[PERCENTILES[0]] for summary in summaries)
    return max(summary.maximum for summary in summaries) > _WIDE_RANGE * fastest
