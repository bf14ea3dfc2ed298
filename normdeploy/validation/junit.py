"""A report of `check` as JUnit XML, which Jenkins, GitLab and others show as tests.

A suite is the model, a test case one output of one backend. A backend that gave no result, or whose result
cannot be judged output by output, has a case named "run". A backend that is not on this machine and that
nobody asked for is skipped. With a gate, the outputs pass and a case named "gate" tells whether it is met.
Where there is an original, the class "graphs" has a case "agree": whether the deployed graph means the same.
Each invariant of a backend is a case named "invariant" and the invariant's name; whether all of its kernels
are right is one named "kernels". An output that can't show an error of 1 % is a skipped case of the class
"blind"; the power of the check, where it was measured, is a case
"power", which fails where less is seen than was asked for.

The elements and attributes are those that the schema of Jenkins' xUnit plugin (junit-10.xsd) and GitLab's
documentation of unit test reports have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from normdeploy.printable import printable
from normdeploy.validation import text

if TYPE_CHECKING:
    from normdeploy.validation.graphs import Graphs
    from normdeploy.validation.invariants.result import Invariant
    from normdeploy.validation.kernels.result import KernelVerdict
    from normdeploy.validation.power.result import Blind, Power
    from normdeploy.validation.report import BackendReport, CheckReport, OutputReport

Outcome = Literal["failure", "error", "skipped"]

_COUNTS: dict[str, Outcome] = {"failures": "failure", "errors": "error", "skipped": "skipped"}
"""Attributes of a suite that count its cases."""


def xml(report: CheckReport) -> str:
    """The whole document."""
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name=printable(text.title(report)))
    if report.graphs is not None:
        _add_graphs(suite, report, report.graphs)
    for backend in report.backends:
        _add_backend(suite, report, backend)
    for invariant in report.invariants.entries if report.invariants is not None else ():
        _add_invariant(suite, report, invariant)
    for verdict in report.kernels.entries if report.kernels is not None else ():
        _add_kernels(suite, report, verdict)
    for blind in report.blind:
        _add_blind(suite, report, blind)
    if report.power is not None:
        _add_power(suite, report, report.power)
    if report.verdict != "pass" and not _count(suite, "failure") + _count(suite, "error"):
        kind: Outcome = "failure" if report.verdict == "mismatch" else "error"
        case = SubElement(suite, "testcase", classname=printable(report.model), name="verdict", time="0.000")
        _add_outcome(case, kind, report.verdict, f"verdict: {report.verdict}", str(report).splitlines())
    suite.set("tests", str(len(suite)))
    for attribute, outcome in _COUNTS.items():
        suite.set(attribute, str(_count(suite, outcome)))
    suite.set("time", _seconds(sum(backend.seconds for backend in report.backends)))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _add_graphs(suite: Element, report: CheckReport, graphs: Graphs) -> None:
    classname = printable(f"{report.model}.graphs")
    case = SubElement(suite, "testcase", classname=classname, name="agree", time="0.000")
    if not graphs.agree:
        wrong = [output for output in graphs.outputs if output.comparison.wrong]
        details = [f"{output.name}: {_errors(output)}" for output in wrong]
        line = text.divergence_line(graphs.localization)
        _add_outcome(case, "failure", "mismatch", str(graphs), [*details, line])


def _add_backend(suite: Element, report: CheckReport, backend: BackendReport) -> None:
    classname = printable(f"{report.model}.{backend.name}")
    seconds = backend.seconds  # of the first case; the backend computes all outputs at once
    blamed = False
    for output in backend.outputs:
        case = SubElement(
            suite, "testcase", classname=classname, name=printable(output.name), time=_seconds(seconds)
        )
        seconds = 0.0
        if output.comparison.wrong and backend.status != "pass" and backend.gate is None:
            blamed = True
            details = [_errors(output), text.divergence_line(backend.localization)]
            _add_outcome(case, "failure", "mismatch", _wrong(output), details)
    if backend.gate is not None:
        case = SubElement(suite, "testcase", classname=classname, name="gate", time=_seconds(seconds))
        if backend.gate == "missed":
            _add_outcome(case, "failure", "gate", backend.reason, [f"gate of {report.gate}"])
    elif backend.status != "pass" and not blamed:
        case = SubElement(suite, "testcase", classname=classname, name="run", time=_seconds(seconds))
        _add_outcome(case, _outcome(backend), backend.status, backend.reason, backend.log)


def _add_invariant(suite: Element, report: CheckReport, invariant: Invariant) -> None:
    classname = printable(f"{report.model}.{invariant.backend}")
    name = f"invariant {invariant.name}"
    case = SubElement(suite, "testcase", classname=classname, name=name, time="0.000")
    if invariant.status != "pass":
        kinds: dict[str, Outcome] = {"broken": "failure", "skipped": "skipped"}
        _add_outcome(case, kinds.get(invariant.status, "error"), invariant.status, invariant.reason, [])


def _add_kernels(suite: Element, report: CheckReport, verdict: KernelVerdict) -> None:
    classname = printable(f"{report.model}.{verdict.backend}")
    case = SubElement(suite, "testcase", classname=classname, name="kernels", time="0.000")
    if verdict.verdict != "safe":
        kind: Outcome = "error" if verdict.verdict == "unknown" else "failure"
        _add_outcome(case, kind, verdict.verdict, verdict.reason, map(str, verdict.nodes))


def _add_blind(suite: Element, report: CheckReport, blind: Blind) -> None:
    """A case that is skipped: the output was compared, and the comparison shows nothing."""
    classname = printable(f"{report.model}.blind")
    case = SubElement(suite, "testcase", classname=classname, name=printable(blind.output), time="0.000")
    _add_outcome(case, "skipped", "blind", str(blind), [])


def _add_power(suite: Element, report: CheckReport, power: Power) -> None:
    case = SubElement(suite, "testcase", classname=printable(report.model), name="power", time="0.000")
    if power.missed:
        sizes = [f"{layer.node} ({layer.op_type}): {layer.in_words}" for layer in power.worst_first]
        _add_outcome(case, "failure", "power", str(power), sizes)


def _outcome(backend: BackendReport) -> Outcome:
    if backend.status == "mismatch":
        return "failure"
    return "skipped" if backend.status == "unavailable" and not backend.requested else "error"


def _add_outcome(case: Element, outcome: Outcome, kind: str, message: str, details: Iterable[str]) -> None:
    element = SubElement(case, outcome, type=kind, message=printable(message))
    element.text = "\n".join(printable(line) for line in details if line) or None


def _wrong(output: OutputReport) -> str:
    found = output.comparison
    return f"{found.wrong} of {found.elements} elements are wrong"


def _errors(output: OutputReport) -> str:
    found = output.comparison
    return (
        f"max abs error {found.max_abs_error:.2e}, max rel error {found.max_rel_error:.2e}, "
        f"error / allowed {found.noise_ratio:.3g}, NaN {found.nan}, Inf {found.inf}"
    )


def _count(suite: Element, outcome: Outcome) -> int:
    return len(suite.findall(f"testcase/{outcome}"))


def _seconds(number: float) -> str:
    return f"{number:.3f}"
