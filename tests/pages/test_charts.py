"""Charts: drawn whatever they are given, with axes that can be read."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from normdeploy.errors import MissingDependencyError
from normdeploy.pages import charts

pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")


def labels(chart: str) -> list[str]:
    """The texts of a chart, from left to right and then from bottom to top."""
    return re.findall(r"<text [^>]*>([^<]*)</text>", chart)


def markers(chart: str) -> list[str]:
    """The round marks of points."""
    return re.findall(r"<use [^>]*var\(--accent\)[^>]*>", chart)


def pieces(chart: str) -> int:
    """Of the line in the chart."""
    (line,) = re.findall(r'<path d="([^"]*)"[^>]*fill: none; stroke: var\(--accent\)', chart)
    return line.count("M")


def test_log_axes_are_labelled_with_powers_of_ten():
    chart = charts.histogram(np.logspace(-7, -3, 9), np.logspace(0, 3.5, 8), x="x", log_x=True, log_y=True)
    found = labels(chart)
    assert {"10⁻⁷", "10⁻⁵", "10⁻³", "10⁰", "10²"} <= set(found)
    assert all(label in ("x", "count") or label.startswith("10") for label in found)


def test_linear_axes_are_labelled_with_numbers():
    found = labels(charts.histogram([0, 1, 2, 3], [1, 5, 2], x="x"))
    assert {"0", "1", "2", "3", "5"} <= {label.removesuffix(".0") for label in found}


def test_positions_are_whole_numbers():
    found = labels(charts.sequence([1.0, 1e3, 1e6], x="node", y="error", log_y=True))
    assert {"0", "1", "2"} <= set(found)
    assert not any("." in label for label in found)


def test_a_highlighted_value_has_a_colour_of_its_own():
    plain = charts.sequence([1.0, 2.0], x="x", y="y")
    marked = charts.sequence([1.0, 2.0], x="x", y="y", highlight=1)
    assert "var(--bad)" not in plain
    assert "var(--bad)" in marked


def test_what_is_beyond_the_span_of_an_axis_is_a_triangle_at_its_end():
    def drawn(*values):
        return charts.sequence(values, x="x", y="y", log_y=True, within=(1e-6, 1e6))

    at_the_ends, beyond = drawn(1e-6, 1.0, 1e6, 1e6), drawn(1e-40, 1.0, 1e40, np.inf)
    assert labels(beyond) == labels(at_the_ends)
    assert len(markers(drawn(1e-40, 1.0, 1e6))) == 3
    assert len(markers(at_the_ends)) == 4
    assert len(markers(beyond)) == 2


def test_a_break_parts_a_line_and_leaves_no_point_out():
    def drawn(*values):
        return charts.lines({"one": (np.arange(len(values)), values)}, x="x", y="y")

    whole, broken = drawn(1, 2, 3, 4, 5), drawn(1, 2, np.nan, 3, np.nan, 4, 5)
    assert pieces(whole) == 1
    assert pieces(broken) == 3
    assert len(markers(broken)) == len(markers(whole)) + 1


def test_several_lines_have_a_legend():
    def drawn(*names):
        return labels(charts.lines({name: ([1, 2], [3, 4]) for name in names}, x="x", y="y"))

    assert "one" not in drawn("one")
    assert {"one", "two"} <= set(drawn("one", "two"))


def test_only_public_names_of_matplotlib_are_used():
    tree = ast.parse(Path(charts.__file__).read_text())
    private = [
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr[0] == "_"
    ]
    assert private == []


@pytest.mark.parametrize(
    "chart",
    [
        lambda: charts.histogram([1e-20, 1e-19], [0], x="x", log_x=True, log_y=True),
        lambda: charts.scatter([], [], x="x", y="y"),
        lambda: charts.scatter([1.0], [1.0], x="x", y="y"),
        lambda: charts.sequence([], x="x", y="y", log_y=True),
        lambda: charts.sequence([0.0, np.inf], x="x", y="y", log_y=True, limit=1.0),
        lambda: charts.bars([], [], x="x"),
    ],
)
def test_charts_of_next_to_nothing(chart):
    assert chart().startswith("<svg ")


def test_without_matplotlib_the_install_line_is_shown(monkeypatch):
    monkeypatch.setattr(charts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'normdeploy\[report\]'"):
        charts.bars(["a"], [1], x="x")
