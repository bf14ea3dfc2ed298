"""Pages: well-formed, self-contained, escaped, and readable in a real browser."""

import re

import numpy as np
import pytest

from normdeploy.pages import Cell, Page, charts
from tests.browser import measure, needs_browser, screenshot
from tests.html import parsed

pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")

HOSTILE = "<script>alert('x')</script> & \"quoted\" $a_b$"


def full_page() -> str:
    """Everything that a page can hold, with names that a page must not believe."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=500)
    edges = np.logspace(-9, -3, 40)
    page = Page(f"title {HOSTILE}", f"subtitle {HOSTILE}")
    page.add_badge("mismatch", "bad")
    page.add_heading(f"heading {HOSTILE}")
    page.add_text(f"{'long' * 60} {HOSTILE}", "note")
    wide = [f"column {index} {HOSTILE}" for index in range(12)]
    page.add_table(wide, [[Cell(f"{index}.5e-3", "warn") for index in range(12)]], HOSTILE)
    counts, _ = np.histogram(np.exp(rng.normal(-13, 1, 5000)), edges)
    page.add_figure(
        charts.histogram(edges, counts, x=HOSTILE, log_x=True, log_y=True, marks={HOSTILE: 1e-5}), HOSTILE
    )
    page.add_figure(charts.scatter(values, values, x=HOSTILE, y=HOSTILE), "scatter")
    page.add_figure(charts.sequence(np.abs(values[:40]), x="node", y="error", log_y=True, highlight=3), "row")
    page.add_figure(charts.bars([HOSTILE, "b"], [1, 2], x="ms"), "bars")
    return page.html()


@pytest.fixture(scope="module")
def page() -> str:
    return full_page()


def test_pages_are_well_formed(page):
    found = parsed(page)
    assert found.elements.count("svg") == 4
    assert len(found.ids) == len(set(found.ids))


def test_pages_load_nothing(page):
    found = parsed(page)
    assert not {"link", "img", "iframe", "script", "object"} & set(found.elements)
    assert all(target.startswith("#") for target in found.loads)
    assert not re.search(r"https?://|//[a-z]|@import|url\((?!#)", page)


def test_texts_are_escaped(page):
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_charts_follow_the_pages_colours(page):
    """Nothing is painted in a colour of its own."""
    charts_only = page[page.index("<body") :]
    assert not re.search(r"(fill|stroke): #", charts_only)
    assert "var(--accent)" in charts_only


def test_columns_of_numbers_are_set_as_such():
    page = Page("t")
    page.add_table(("name", "value", "share"), [["a", "1.5e-3", "99.1%"], ["b", "–", "1,000"]])
    assert page.html().count('<td class="number"') == 4


def test_a_row_has_a_cell_for_each_heading():
    with pytest.raises(ValueError, match="a cell for each heading"):
        Page("t").add_table(("a", "b"), [["1"]])


def test_importing_pages_does_not_import_matplotlib():
    import subprocess
    import sys

    code = "import normdeploy.pages, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone(page, tmp_path, dark):
    found = measure(page, tmp_path, width=390, dark=dark)
    assert found["width"] == found["scrollWidth"] == 390
    assert "alert('x')" in found["text"]
    assert found["scripts"] == 0
    assert len(found["figures"]) == 4
    assert all(300 < width <= 390 and height > 60 for width, height in found["figures"])
    assert found["textHeight"] > 8
    paper, ink = brightness(found["background"]), brightness(found["ink"])
    assert (paper < 50 and ink > 200) if dark else (paper > 240 and ink < 60)
    assert (brightness(found["axis"]) > 120) is dark


def brightness(colour: str) -> float:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


@needs_browser
def test_what_is_painted(page, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    light = image.imread(screenshot(page, tmp_path, dark=False))[..., :3]
    dark = image.imread(screenshot(page, tmp_path, dark=True))[..., :3]
    for picture, background in ((light, 1.0), (dark, 0.08)):
        assert picture[0, 0].mean() == pytest.approx(background, abs=0.02)
        contrast = np.abs(picture - picture[0, 0]).max(axis=2) > 0.3
        assert 0.01 < contrast.mean() < 0.5
        assert contrast.any(axis=1)[:1200].mean() > 0.3
