"""A report of `check` as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from normdeploy.pages import Cell, Page, Svg, Tone, charts
from normdeploy.validation.distribution import EDGES, Distribution
from normdeploy.validation.invariants.page import add_invariants
from normdeploy.validation.kernels.page import add_kernels
from normdeploy.validation.power.page import add_power
from normdeploy.validation.text import divergence_line, gate_lines, title

if TYPE_CHECKING:
    from normdeploy.validation.graphs import Graphs
    from normdeploy.validation.localize import Localization
    from normdeploy.validation.report import BackendReport, CheckReport, Status, Verdict

_TONES: dict[Status | Verdict, Tone] = {
    "pass": "good",
    "mismatch": "bad",
    "crashed": "bad",
    "timeout": "bad",
    "error": "bad",
    "unavailable": "warn",
}

_DRAWN_OUTPUTS = 12
_MANY = 20
"""Elements in one bar, from where a logarithmic axis is easier to read."""

_SHOWN_RATIOS = (1e-6, 1e6)
"""Errors over what is allowed, on the axis at most: a millionth is exact and a million times is wrong, and an
overflow's 10³⁰ would leave no room for the difference between 0.1 and 10."""


def html(report: CheckReport) -> str:
    """The whole page.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    page = Page("normdeploy check", title(report))
    page.add_badge(report.verdict, _TONES[report.verdict])
    for blind in report.blind:
        page.add_text(f"Blind: {blind}.", "warn")
    for remark in report.remarks:
        page.add_text(remark, "note")
    for line in gate_lines(report):
        page.add_text(line)
    if report.graphs is not None:
        _add_graphs(page, report.graphs, report.backends)
    for backend in report.backends:
        if backend.first_divergence is not None:
            page.add_text(f"{backend.name}: {divergence_line(backend.localization)}")
        for remark in backend.localization.remarks if backend.localization else ():
            page.add_text(f"{backend.name}, localize: {remark}", "note")
    _add_backends(page, report)
    _add_outputs(page, report)
    if report.invariants is not None:
        add_invariants(page, report.invariants)
    if report.power is not None:
        add_power(page, report.power)
    if report.kernels is not None:
        add_kernels(page, report.kernels)
    for backend in report.backends:
        if backend.outputs or backend.localization:
            page.add_heading(backend.name)
            _add_errors(page, backend)
            if backend.localization is not None and backend.localization.nodes:
                page.add_figure(*_along_the_graph(backend.localization))
    _add_half_precision(page, report)
    _add_environment(page, report)
    return page.html()


def _add_graphs(page: Page, graphs: Graphs, backends: Sequence[BackendReport]) -> None:
    """The deployed graph against the original: a line; where they differ a chart, unless a backend has it."""
    page.add_text(str(graphs), "good" if graphs.agree else "bad")
    found = graphs.localization
    if found is None or any(backend.localization is found for backend in backends):
        return
    if found.first is not None:
        page.add_text(f"the graphs: {divergence_line(found)}")
    if found.nodes:
        page.add_figure(*_along_the_graph(found))


def _add_backends(page: Page, report: CheckReport) -> None:
    page.add_heading("Backends")
    headings = ["backend", "status", "accuracy", "flips", "why"]
    rows: list[list[str | Cell]] = []
    if report.reference_accuracy is not None:
        rows.append(["reference", "", f"{report.reference_accuracy:.2%}", "–", "NumPy in float64"])
    for backend in report.backends:
        accuracy = "–" if backend.accuracy is None else f"{backend.accuracy:.2%}"
        flips = "–" if backend.flips is None else str(backend.flips)
        status = Cell(backend.status, _TONES[backend.status])
        rows.append([backend.name, status, accuracy, flips, _why(backend)])
    used = [
        heading not in ("accuracy", "flips") or any(row[column] != "–" for row in rows)
        for column, heading in enumerate(headings)
    ]
    page.add_table(list(compress(headings, used)), [list(compress(row, used)) for row in rows])


def _why(backend: BackendReport) -> str:
    return " | ".join([backend.reason, *backend.log]) if backend.log else backend.reason


def _add_outputs(page: Page, report: CheckReport) -> None:
    rows: list[list[str | Cell]] = []
    for backend in report.backends:
        for output in backend.outputs:
            found = output.comparison
            rounding = found.expected_rounding
            rows.append([
                backend.name,
                output.name,
                output.dtype,
                Cell(f"{found.wrong:,}", "bad" if found.wrong else ""),
                f"{found.elements:,}",
                f"{found.max_abs_error:.2e}",
                f"{found.max_rel_error:.2e}",
                "–" if rounding is None else f"{rounding:.2e}",
                Cell(f"{found.noise_ratio:.3g}", "bad" if found.noise_ratio > 1 else ""),
                str(found.nan),
                str(found.inf),
            ])  # fmt: skip
    if rows:
        page.add_heading("Outputs")
        headings = ("backend", "output", "type", "wrong", "of", "max abs error", "max rel error", "rounding",
                    "error / allowed", "NaN", "Inf")  # fmt: skip
        page.add_table(headings, rows)


def _add_errors(page: Page, backend: BackendReport) -> None:
    """Charts of each output, or of those that are furthest off where there are many."""
    drawn = [output for output in backend.outputs if output.distribution.elements]
    if len(drawn) > _DRAWN_OUTPUTS:
        page.add_text(
            f"Drawn are the {_DRAWN_OUTPUTS} of {len(drawn)} outputs with the most error / allowed.", "note"
        )
        worst = sorted(drawn, key=lambda output: -output.comparison.noise_ratio)[:_DRAWN_OUTPUTS]
        drawn = [output for output in drawn if output in worst]
    for output in drawn:
        if output.distribution.counts.any():
            page.add_figure(_histogram(output.distribution), f"Errors of output '{output.name}'")
        page.add_figure(*_scatter(backend.name, output.name, output.distribution))


def _histogram(distribution: Distribution) -> Svg:
    """Errors that are not 0, from the first to the last bin that holds any."""
    filled = np.flatnonzero(distribution.counts)
    first, last = max(int(filled[0]) - 2, 0), min(int(filled[-1]) + 2, len(distribution.counts) - 1)
    return charts.histogram(
        EDGES[first : last + 2],
        distribution.counts[first : last + 1],
        x=f"absolute error; {distribution.exact:,} of {distribution.elements:,} elements are exact",
        y="elements",
        log_x=True,
        log_y=bool(distribution.counts.max() >= _MANY),
    )


def _scatter(backend: str, output: str, distribution: Distribution) -> tuple[Svg, str]:
    reference, actual = distribution.sample
    shown = f"{reference.size:,} of {distribution.elements:,} elements"
    if reference.size == distribution.elements:
        shown = f"all {reference.size:,} elements"
    if distribution.exact == distribution.elements:
        shown += "; every element is exact"
    figure = charts.scatter(reference, actual, x="reference", y=backend)
    return figure, f"Output '{output}' against the reference, {shown}"


def _along_the_graph(found: Localization) -> tuple[Svg, str]:
    ratios = [error.comparison.noise_ratio for error in found.nodes]
    culprit = None
    if found.first is not None:
        outputs = [error.output for error in found.nodes]
        culprit = outputs.index(found.first.output) if found.first.output in outputs else None
    figure = charts.sequence(
        ratios,
        x="tensors in the order of the graph",
        y="error / allowed",
        log_y=True,
        highlight=culprit,
        limit=1.0,
        within=_SHOWN_RATIOS,
    )
    by_graph = found.first is not None and found.first.how == "reference"
    what = "The deployed graph against the original" if by_graph else "Each node on the reference's inputs"
    named = "" if found.first is None or culprit is None else f"; red: {found.first.node}"
    largest = max(ratios, default=0.0)
    beyond = f"; triangles: beyond 10⁶, up to {_times(largest)}" if largest > _SHOWN_RATIOS[1] else ""
    return figure, f"{what}, error against what is allowed{named}{beyond}"


def _times(ratio: float) -> str:
    return f"{ratio:.1e}" if math.isfinite(ratio) else "infinity"


def _add_half_precision(page: Page, report: CheckReport) -> None:
    if not report.half_precision:
        return
    page.add_heading("In half precision")
    page.add_text(
        "What float16 would do to each normalization layer on this data, whatever precision the model has "
        "now: its largest number is 65504.",
        "note",
    )
    rows: list[Sequence[str | Cell]] = [
        [
            finding.node,
            finding.op_type,
            Cell(finding.problem or "fits", "warn" if finding.problem else "good"),
            f"{finding.extent.max_abs:.4g}",
            f"{finding.extent.largest:.4g}",
            f"{finding.consequence}. {finding.fix}" if finding.problem else "",
        ]
        for finding in report.half_precision
    ]
    page.add_table(("node", "operator", "float16", "max |x|", "largest sum", "consequence"), rows)


def _add_environment(page: Page, report: CheckReport) -> None:
    page.add_heading("Environment")
    facts = {**report.environment, "seed": report.seed}
    for backend in report.backends:
        facts.update({f"{backend.name}: {name}": version for name, version in backend.versions.items()})
    page.add_table(("what", "version"), [[name, str(value)] for name, value in facts.items()])
