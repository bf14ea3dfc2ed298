"""The power of a check as lines, as a section of a page and as JUnit XML."""

import io
from xml.etree import ElementTree

import pytest
from rich.console import Console

from normdeploy.pages import Page
from normdeploy.validation import junit
from normdeploy.validation.power.page import add_power
from normdeploy.validation.power.result import LayerPower, Power
from normdeploy.validation.power.text import lines
from normdeploy.validation.report import CheckReport
from tests.html import parsed

FEW = Power([
    LayerPower("conv", "Conv", 2e-6), LayerPower("<lrn> [red]", "LRN", 0.034), LayerPower("fc", "Gemm", None),
], 0.5)  # fmt: skip
MANY = Power([LayerPower(f"conv{index}", "Conv", 1e-6 * (index + 1)) for index in range(30)])


def shown(power: Power, verbose: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    for line in lines(power, verbose):
        console.print(line)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_with_the_worst_layers_first():
    assert shown(FEW) == [
        "power: no error in Gemm 'fc' would be seen, and --min-power asks for 50 %",
        "                         smallest",
        "layer        operator  error seen",
        "fc           Gemm            none",
        "<lrn> [red]  LRN            3.4 %",
        "conv         Conv        0.0002 %",
    ]


def test_many_layers():
    table = shown(MANY)
    assert len(table) == 1 + 2 + 10 + 1
    assert table[3].split() == ["conv29", "Conv", "0.003", "%"]
    assert table[-1] == "20 other layers show errors from 0.002 % on, or smaller ones"
    assert len(shown(MANY, verbose=True)) == 1 + 2 + 30
    unseen = Power([LayerPower("conv", "Conv", None)] * 30)
    assert shown(unseen)[-1] == "20 other layers; -v shows them"
    assert len(shown(Power([]))) == 1


def test_a_section_of_a_page():
    pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")
    page = Page("check")
    add_power(page, FEW)
    html = page.html()
    assert parsed(html).elements.count("tr") == 1 + len(FEW.layers)
    assert parsed(html).elements.count("svg") == 1
    for part in ('"bad">No error in Gemm', '"bad">none', "&lt;lrn&gt; [red]", "3.4 %"):
        assert part in html
    page = Page("check")
    add_power(page, Power([]))
    assert "svg" not in parsed(page.html()).elements


def test_a_case_that_fails_where_the_gate_is_missed():
    for power, missed in ((FEW, True), (MANY, False)):
        report = CheckReport("m", "m", 3, 0, [], None, {}, power=power)
        root = ElementTree.fromstring(junit.xml(report))  # noqa: S314
        (case,) = root.findall("testsuite/testcase[@name='power']")
        failures = case.findall("failure")
        assert len(failures) == missed
        for failure in failures:
            assert failure.get("message") == str(power)
            assert failure.text.splitlines()[0] == "fc (Gemm): none"
