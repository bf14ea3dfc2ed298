"""A report of `check` as lines and a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from normdeploy.terminal import stacked
from normdeploy.validation.invariants import text as invariants
from normdeploy.validation.kernels import text as kernels
from normdeploy.validation.power import text as power

if TYPE_CHECKING:
    from normdeploy.validation.half_precision.findings import HalfPrecision
    from normdeploy.validation.localize import How, Localization
    from normdeploy.validation.report import BackendReport, CheckReport, OutputReport

_COLOURS = {"pass": "green", "mismatch": "red", "crashed": "red", "timeout": "red", "unavailable": "yellow"}
_WHERE: dict[How, str] = {
    "reference": "the deployed graph itself computes something else than the original",
    "alone": "this node is wrong by itself, on the reference's inputs",
    "fused": "it is right by itself and wrong together with the nodes before it",
}


def render(report: CheckReport, *, verbose: bool = False) -> RenderableType:
    """What was compared, the outputs' errors, what failed and why, and the verdict.

    Args:
        report: of the check.
        verbose: also each backend's versions and time, and why those are not here that nobody asked for.
    """
    return Group(*_parts(report, verbose))


def title(report: CheckReport) -> str:
    """Which model, against what, and on how many samples."""
    against = "" if report.reference == report.model else f" against {report.reference}"
    return f"{report.model}{against}, {report.samples:,} sample{'s' * (report.samples != 1)}"


def divergence_line(found: Localization | None) -> str:
    """Which node is the first wrong one, and in what sense; "" if none was found."""
    first = found.first if found is not None else None
    if first is None:
        return ""
    return f"first wrong node: {first.node} ({first.op_type}, output {first.output}): {_WHERE[first.how]}"


def blind_words(report: CheckReport) -> str:
    """What follows the verdict: the outputs that can't show an error, and why; "" if all can."""
    if not report.blind:
        return ""
    how = ", but blind: " if report.verdict == "pass" else ", and blind: "
    return how + "; ".join(map(str, report.blind))


def warnings(findings: Iterable[HalfPrecision]) -> Iterator[Text]:
    """A line for each layer that half precision would spoil."""
    return (Text(f"warning: {finding}", "yellow") for finding in findings if finding.problem)


def _parts(report: CheckReport, verbose: bool) -> Iterator[RenderableType]:
    yield Text(title(report))
    for remark in report.remarks:
        yield Text(f"note: {remark}")
    table = _outputs(report)
    if table.rows:
        yield table
    yield from map(Text, _accuracies(report))
    if report.graphs is not None:
        yield Text(str(report.graphs), "" if report.graphs.agree else "red")
        yield from _localized("the graphs'", report.graphs.localization)
    absent = [backend for backend in report.backends if _not_here(backend)]
    for backend in report.backends:
        if verbose and backend.versions:
            yield Text(f"{backend.name}: {_versions(backend)}, {backend.seconds:.2f} s", "dim")
        if backend.reason and (verbose or backend not in absent):
            yield Text(f"{backend.name} {backend.status}: {backend.reason}")
        for line in backend.log:
            yield Text(f"  | {line}", "dim")
        yield from _localized(backend.name, backend.localization)
    if report.invariants is not None:
        yield from invariants.lines(report.invariants)
    if report.kernels is not None:
        yield from kernels.lines(report.kernels)
    if report.power is not None:
        yield from power.lines(report.power, verbose)
    yield from warnings(report.half_precision)
    if absent and not verbose:
        names = ", ".join(backend.name for backend in absent)
        yield Text(f"not here: {names} (normdeploy doctor says why)", "dim")
    colour = "green" if report.verdict == "pass" else "red"
    yield Text.assemble("verdict: ", (report.verdict, f"bold {colour}"), (blind_words(report), "yellow"))


def _localized(whose: str, found: Localization | None) -> Iterator[Text]:
    if found is not None and found.first is not None:
        yield Text(f"{whose} {divergence_line(found)}")
    for remark in found.remarks if found is not None else ():
        yield Text(f"{whose} localize: {remark}")


def _not_here(backend: BackendReport) -> bool:
    """Whether it is not on this machine, and nobody asked for it."""
    return backend.status == "unavailable" and not backend.requested


def _versions(backend: BackendReport) -> str:
    return ", ".join(f"{name} {version}" for name, version in backend.versions.items())


def _outputs(report: CheckReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("backend", "status", "output", "type"):
        table.add_column(heading, overflow="fold")
    for lines in (["max abs", "error"], ["max rel", "error"], ["error /", "allowed"], ["NaN"], ["Inf"]):
        table.add_column(stacked(*lines), justify="right", no_wrap=True)
    for backend in report.backends:
        if not _not_here(backend):
            _add_rows(table, backend)
    return table


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
    """The accuracy before and after, where the data has labels; flips; what becomes of the gate."""
    if report.reference_accuracy is not None:
        yield f"accuracy of the reference: {report.reference_accuracy:.2%}"
    for backend in report.backends:
        if backend.accuracy is not None:
            yield f"accuracy of {backend.name}: {backend.accuracy:.2%}, flips: {backend.flips}"
        elif backend.flips is not None:
            yield f"flips of {backend.name}: {backend.flips}"
    yield from gate_lines(report)


def gate_lines(report: CheckReport) -> Iterator[str]:
    """What became of the gate in each backend that it decided about."""
    for backend in report.backends:
        if backend.gate is not None:
            yield f"gate of {report.gate} for {backend.name}: {backend.gate}"
