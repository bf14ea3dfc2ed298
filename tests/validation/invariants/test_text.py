"""The invariants as lines and as a section of a page."""

import math

from normdeploy.pages import Page
from normdeploy.validation.invariants.page import add_invariants
from normdeploy.validation.invariants.result import Invariant, Invariants
from normdeploy.validation.invariants.text import lines
from tests.html import parsed

FOUND = Invariants([
    Invariant("ort", "equal-rows", "pass", "", 0.1),
    Invariant("ort", "permuted-rows", "pass", "", 0.2),
    Invariant("ort", "batch-sizes", "broken", "alone in a batch, [red]1[/] of <4> differ", math.inf),
    Invariant("ort", "repeated-runs", "pass", "bit for bit", 0.0),
    Invariant("other", "equal-rows", "skipped", "the model takes 1 row, no more"),
    Invariant("other", "shape-corners", "timeout", "at x [3]: too late"),
])  # fmt: skip


def test_lines():
    assert [str(line) for line in lines(FOUND)] == [
        "invariants of ort: 3 hold, 1 broken",
        "  batch-sizes broken: alone in a batch, [red]1[/] of <4> differ",
        "  repeated-runs pass: bit for bit",
        "invariants of other: 1 skipped, 1 timeout",
        "  equal-rows skipped: the model takes 1 row, no more",
        "  shape-corners timeout: at x [3]: too late",
    ]
    assert list(lines(Invariants([]))) == []


def test_a_section_of_a_page():
    page = Page("check")
    add_invariants(page, FOUND)
    html = page.html()
    assert parsed(html).elements.count("tr") == 1 + len(FOUND.entries)
    for part in ('"bad">broken', '"good">pass', "inf", "of &lt;4&gt; differ"):
        assert part in html
    page = Page("check")
    add_invariants(page, Invariants([]))
    assert "Invariants" not in page.html()
