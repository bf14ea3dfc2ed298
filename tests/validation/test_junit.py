"""A check as JUnit XML: what Jenkins and GitLab take, and every outcome in its place."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normdeploy.backends import catalog
from normdeploy.errors import UsageError
from normdeploy.validation import check, junit
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.invariants.result import Invariant, Invariants
from normdeploy.validation.power.result import Blind
from normdeploy.validation.report import BackendReport, CheckReport, OutputReport
from tests.builders import conv_lrn, unary
from tests.validation.misbehaving_for_check import misbehaving

OUTCOMES = {"failure", "error", "skipped"}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": OUTCOMES,
    **{outcome: set[str]() for outcome in OUTCOMES},
}
REQUIRED = {
    "testsuites": set[str](),
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
    **{outcome: set[str]() for outcome in OUTCOMES},
}
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": REQUIRED["testsuite"]
    | {"time", "skipped", "timestamp", "hostname", "id", "package", "file"},
    "testcase": {"name", "time", "classname"},
    **{outcome: {"type", "message"} for outcome in OUTCOMES},
}
"""junit-10.xsd of Jenkins' xUnit plugin, as far as it concerns what is written here."""

TIME = re.compile(r"[0-9]+\.[0-9]{3}")


def parsed(report: CheckReport) -> ElementTree.Element:
    """The suite of a report, after the document has been held against the schema."""
    root = ElementTree.fromstring(junit.xml(report))  # noqa: S314
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN[element.tag]
        assert REQUIRED[element.tag] <= set(element.attrib) <= ALLOWED[element.tag]
        assert TIME.fullmatch(element.get("time", "0.000"))
        if element.tag not in OUTCOMES:
            assert not (element.text or "").strip()
    (suite,) = root
    assert suite.get("tests") == str(len(suite))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(len(suite.findall(f"testcase/{tag}")))
    return suite


def cases(suite: ElementTree.Element) -> dict[tuple[str, str], str]:
    """(backend, output) -> "passed", or the element that says what is wrong."""
    found = {}
    for case in suite:
        backend = case.get("classname", "").rpartition(".")[2]
        found[backend, case.get("name", "")] = case[0].tag if len(case) else "passed"
    return found


def report(*backends: BackendReport) -> CheckReport:
    return CheckReport("model.onnx", "model.onnx", 8, 0, backends, None, {})


def test_a_case_for_each_output():
    suite = parsed(check(conv_lrn(), backends=["onnxruntime"]))
    assert cases(suite) == {("onnxruntime", "y"): "passed"}
    assert float(suite.get("time", "")) == float(suite[0].get("time", "")) > 0
    assert "8 samples" in suite.get("name", "")


def test_a_mismatch_says_how_much_and_where():
    suite = parsed(check(conv_lrn(beta=0.5), reference=conv_lrn(), backends=["onnxruntime"], localize=True))
    assert cases(suite) == {("graphs", "agree"): "failure", ("onnxruntime", "y"): "failure"}
    (failure,) = suite[0]
    assert "the graphs differ in float64: output 'y': " in failure.get("message", "")
    assert "first wrong node: lrn (LRN" in (failure.text or "")
    (failure,) = suite[1]
    assert (failure.get("type"), "elements are wrong" in failure.get("message", "")) == ("mismatch", True)
    assert "first wrong node: lrn (LRN" in (failure.text or "")
    assert "max abs error" in (failure.text or "")


@pytest.mark.parametrize(
    ("name", "expected", "kind"),
    [
        ("aborts", "error", "crashed"),
        ("hangs", "error", "timeout"),
        ("gives_another_shape", "failure", "mismatch"),
    ],
)
def test_a_backend_without_results(monkeypatch, name, expected, kind):
    monkeypatch.setitem(catalog.BACKENDS, name, misbehaving(name))
    suite = parsed(check(unary("Identity", ["N", 4]), backends=[name]))
    assert cases(suite) == {(name, "run"): expected}
    assert suite[0][0].get("type") == kind
    assert suite[0][0].get("message")


def test_what_is_not_here_is_skipped_or_an_error():
    absent = BackendReport("absent", "unavailable", "install it")
    right = BackendReport("right", "pass", outputs=[OutputReport("y", "float32", TensorComparison(4))])
    assert cases(parsed(report(right, absent))) == {("right", "y"): "passed", ("absent", "run"): "skipped"}
    asked = replace(absent, requested=True)
    assert cases(parsed(report(right, asked)))["absent", "run"] == "error"


def test_what_was_compared_before_a_crash_stays():
    outputs = [OutputReport("y", "float32", TensorComparison(4))]
    crashed = BackendReport("b", "crashed", "it ended", outputs=outputs, log=["last", "words"], seconds=2.5)
    suite = parsed(report(crashed))
    assert cases(suite) == {("b", "y"): "passed", ("b", "run"): "error"}
    assert suite[1][0].text == "last\nwords"
    assert [case.get("time") for case in suite] == ["2.500", "0.000"]


def test_a_verdict_that_no_case_explains_is_a_case():
    suite = parsed(report(BackendReport("absent", "unavailable", "install it")))
    assert suite.get("errors") == "1"
    assert suite[-1].get("name") == "verdict"


@pytest.mark.parametrize(("allowed", "expected"), [(4, "passed"), (0, "failure")])
def test_with_a_gate_it_decides_and_not_the_outputs(allowed, expected):
    x = np.array([[1.0, 2.0], [2.0, 1.0]] * 2, np.float32)
    model, reference = unary("Neg", ["N", 2]), unary("Identity", ["N", 2])
    checked = check(model, reference=reference, backends=["onnxruntime"], data={"x": x}, max_flips=allowed)
    suite = parsed(checked)
    assert cases(suite) == {
        ("graphs", "agree"): expected,
        ("onnxruntime", "y"): "passed",
        ("onnxruntime", "gate"): expected,
    }
    assert checked.verdict == ("pass" if expected == "passed" else "mismatch")
    if expected == "failure":
        assert "4" in suite[2][0].get("message", "")


names = st.text(st.characters(), min_size=1, max_size=8)  # surrogates and controls too


@given(names, names, names)
def test_no_name_breaks_the_document(model, output, reason):
    wrong = TensorComparison(4, 1, math.inf, math.nan, math.inf)
    outputs = [OutputReport(output, "float32", wrong)]
    backend = BackendReport("b", "mismatch", reason, outputs=outputs)
    crashed = BackendReport("c", "crashed", reason, log=[output, "\x1b]0;title\x07"])
    parsed(replace(report(backend, crashed), model=model))


def test_what_xml_cannot_hold_is_escaped_and_the_rest_stays():
    outputs = [OutputReport('a\x1b[2J\udcff<&"é漢😀', "float32", TensorComparison(4))]
    suite = parsed(report(BackendReport("b", "pass", outputs=outputs)))
    assert suite[0].get("name") == 'a\\x1b[2J\\udcff<&"é漢😀'


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    good = report(BackendReport("b", "pass", outputs=[OutputReport("é", "float32", TensorComparison(4))]))
    target = tmp_path / "junit.xml"
    good.to_junit(target)
    assert target.read_bytes() == junit.xml(good).encode()
    with pytest.raises(UsageError, match="cannot be written"):
        good.to_junit(tmp_path / "no" / "junit.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def test_invariants():
    passed = BackendReport("ort", "pass")
    entries = [
        Invariant("ort", "equal-rows", "pass", "", 0.1),
        Invariant("ort", "permuted-rows", "broken", "rows differ", math.inf),
        Invariant("ort", "batch-sizes", "skipped", "one row, no more"),
        Invariant("ort", "shape-corners", "timeout", "at x [3]: too late"),
    ]
    suite = parsed(CheckReport("m.onnx", "m.onnx", 1, 0, [passed], None, {}, invariants=Invariants(entries)))
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "invariant equal-rows": [],
        "invariant permuted-rows": ["failure"],
        "invariant batch-sizes": ["skipped"],
        "invariant shape-corners": ["error"],
    }
    (failure,) = suite.iter("failure")
    assert (failure.get("type"), failure.get("message")) == ("broken", "rows differ")


def test_an_output_that_shows_nothing_is_a_skipped_case():
    report = CheckReport("m.onnx", "m.onnx", 3, 0, [], None, {}, blind=[Blind("y", "dead ReLU")])
    (case,) = parsed(report).findall("testcase[@classname='m.onnx.blind']")
    assert case.get("name") == "y"
    skipped = case.find("skipped")
    assert skipped.get("message") == "output 'y' can't show a 1 % error (dead ReLU)"
    assert skipped.get("type") == "blind"
