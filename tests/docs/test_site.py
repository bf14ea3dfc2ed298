"""The built site: it builds without warnings, is complete, and asks nothing of anybody else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import normdeploy as nd

ROOT = Path(__file__).parents[2]
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|embed|object|link)\b[^>]*?\b(?:src|href|data|srcset)=[\"']?(?:https?:)?//",
    re.IGNORECASE,
)
_LOADED_BY_STYLES = re.compile(r"(?:@import\s+|url\(\s*)[\"']?(?:https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert _LOADED.findall(page.read_text()) == [], page
    for style in site.rglob("*.css"):
        assert _LOADED_BY_STYLES.findall(style.read_text()) == [], style


def test_what_would_be_loaded_is_noticed():
    for text in (
        '<script src="https://a.example/b.js">',
        "<link rel=stylesheet href=//a.example>",
        '<img alt="" src="http://a.example/c.png">',
    ):
        assert _LOADED.search(text)
    assert not _LOADED.search('<a href="https://a.example">and</a> <script src="b.js"></script>')
    assert _LOADED_BY_STYLES.search('@import "https://a.example"; p {}')


def test_the_pages_that_live_elsewhere_are_there(site):
    for page, words in {
        "index.html": "See it work",
        "contributing.html": "The map of the house",
        "changelog.html": "0.1.0",
        "plugin.html": "The tile kernel",
    }.items():
        assert words in (site / page).read_text(), page


def test_every_public_name_is_documented(site):
    """By an anchor of its own on one of the Python pages, or in the tree of exceptions."""
    pages = "".join(
        (site / "python" / f"{name}.html").read_text() for name in ("functions", "results", "errors")
    )
    anchors = {anchor.rpartition(".")[2] for anchor in re.findall(r'id="(normdeploy\.[\w.]+)"', pages)}
    tree = set(
        re.findall(r"\b[A-Z]\w+", re.sub(r"<[^>]+>", "", (site / "python" / "errors.html").read_text()))
    )
    assert set(nd.__all__) - {"__version__"} <= anchors | tree


def test_schemas_are_published_and_shown(site):
    page = (site / "json.html").read_text()
    for path in (ROOT / "docs" / "schemas").glob("*.json"):
        assert (site / "schemas" / path.name).read_text() == path.read_text()
        assert f'href="schemas/{path.name}"' in page
    assert "backends[].outputs[].noise_ratio" in page


def test_formulas_are_mathml(site):
    for page in ("verdict.html", "lrn.html", "plugin.html"):
        text = (site / page).read_text()
        assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"' in text
        assert "arithmatex" not in text
        assert "\\frac" not in text


def test_links_to_files_that_have_no_page_are_text(site):
    assert "benchmarks/results" not in "".join(
        re.findall(r'href="([^"]+)"', (site / "index.html").read_text())
    )


def test_tools_of_the_documentation_are_not_published(site):
    assert not list(site.rglob("*.py"))
