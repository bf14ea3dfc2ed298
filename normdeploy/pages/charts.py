"""Charts as inline SVG whose colours are the page's CSS variables: they follow light and dark by themselves.

matplotlib draws them in marker colours, which are then replaced by the variables.
"""

from __future__ import annotations

import importlib.util
import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NewType

import numpy as np
from numpy.typing import NDArray

from normdeploy.errors import MissingDependencyError
from normdeploy.printable import printable

Svg = NewType("Svg", str)
"""An <svg> element."""

Numbers = Sequence[float] | NDArray[Any]

_COLOURS = {
    "ink": "#010203",
    "faint": "#010204",
    "line": "#010205",
    "accent": "#010206",
    "bad": "#010207",
    "good": "#010208",
    "warn": "#010209",
}
"""CSS variable -> the colour that matplotlib draws it in."""

_STYLES = (("accent", "-"), ("bad", "--"), ("good", "-."), ("warn", ":"), ("ink", "-"), ("faint", "--"))
"""Colour and dashes of lines in one chart, in turn: no two that stand together differ by colour alone."""

_SIZE = (4.4, 2.9)
"""Inches at 72 points: text of 9 points is readable where the figure is as wide as a phone."""

_ROW = 0.22
_SHORT_NAME = 18
"""Characters of a name that leave room for another one beside it in a legend."""

_DECADES = 2
"""Spanned by a logarithmic axis: up to here its labels are numbers, above powers of ten."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_salts = itertools.count()


def histogram(
    edges: Numbers,
    counts: Numbers,
    *,
    x: str,
    y: str = "count",
    log_x: bool = False,
    log_y: bool = False,
    marks: Mapping[str, float] | None = None,
) -> Svg:
    """Bars between consecutive edges.

    Args:
        edges: one more than counts, rising.
        counts: the bars' heights.
        x, y: the axes' labels.
        log_x, log_y: logarithmic axes; edges must be above 0 for log_x.
        marks: vertical lines, by name.
    """
    figure, axes = _axes(x, y)
    axes.stairs(counts, edges, fill=True, color=_COLOURS["accent"], alpha=0.85)
    if not log_y:
        axes.locator_params(axis="y", integer=True)
    _scale(axes, log_x, log_y and bool(np.any(counts)))
    _mark(axes, marks or {})
    return _svg(figure)


def scatter(horizontal: Numbers, vertical: Numbers, *, x: str, y: str) -> Svg:
    """Points, and the diagonal on which both are equal.

    Args:
        horizontal, vertical: where each point is, across and up.
        x, y: the axes' labels.
    """
    figure, axes = _axes(x, y)
    span = [float(np.min(horizontal)), float(np.max(horizontal))] if len(horizontal) else [0.0, 1.0]
    axes.plot(span, span, color=_COLOURS["faint"], linewidth=0.8, zorder=1)
    axes.plot(
        horizontal, vertical, "o", color=_COLOURS["accent"], markersize=2.6, markeredgewidth=0, alpha=0.55
    )
    axes.locator_params(nbins=6)
    return _svg(figure)


def sequence(
    values: Numbers,
    *,
    x: str,
    y: str,
    log_y: bool = False,
    highlight: int | None = None,
    limit: float | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Svg:
    """Values in their order, as stems.

    Args:
        values: what each position has; those that are not finite are left out, and on a log axis 0 too.
        x, y: the axes' labels.
        log_y: a logarithmic axis.
        highlight: the position to show in red.
        limit: a horizontal line.
        within: the most that the axis spans. What is above, infinity too, is a triangle at its upper end;
            what is below stands at its lower end.
    """
    figure, axes = _axes(x, y)
    values = np.asarray(values, dtype=np.float64)
    above = values > within[1]
    heights = np.where((values > 0) | (not log_y), np.clip(values, *within), values)
    shown = np.isfinite(heights) & ((heights > 0) | (not log_y))
    where = np.flatnonzero(shown)
    floor = 0.0
    if log_y:
        levels = [*heights[where], *([limit] if limit else [])]
        floor = min(levels, default=1.0) / 3
        axes.set_yscale("log")
        axes.set_ylim(floor, max(levels, default=1.0) * 3)
    colours = np.array([_COLOURS["bad" if index == highlight else "accent"] for index in where])
    axes.vlines(where, floor, heights[where], colors=colours, linewidth=1.6)
    for beyond, marker, size in ((False, "o", 9), (True, "^", 30)):
        these = above[where] == beyond
        axes.scatter(where[these], heights[where][these], c=colours[these], s=size, marker=marker, zorder=3)
    axes.set_xlim(-0.7, max(len(heights), 1) - 0.3)
    if limit is not None:
        axes.axhline(limit, color=_COLOURS["faint"], linewidth=0.8, linestyle=(0, (4, 3)))
    _scale(axes, False, log_y)
    axes.locator_params(axis="x", integer=True)
    return _svg(figure)


def lines(
    series: Mapping[str, tuple[Numbers, Numbers]],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    points: bool = False,
    limit: float | None = None,
) -> Svg:
    """A line for each series, with a legend where there are several.

    Args:
        series: name -> where each point is, across and up. NaN breaks a line; a point alone between two
            breaks is marked.
        x, y: the axes' labels.
        log_x, log_y: logarithmic axes; the values must be above 0 for them.
        points: mark each point.
        limit: a vertical line.
    """
    columns = 2 if max(map(len, series), default=0) <= _SHORT_NAME else 1
    legend_rows = -(-len(series) // columns) if len(series) > 1 else 0
    figure, axes = _axes(x, y, height=_SIZE[1] + _ROW * legend_rows)
    styles = zip(series.items(), itertools.cycle(_STYLES), strict=False)
    for order, ((name, (across, up)), (colour, dashes)) in enumerate(styles):
        axes.plot(
            across,
            up,
            color=_COLOURS[colour],
            linestyle=dashes,
            linewidth=1.3,
            marker="o",
            markersize=4 if points else 2.5,
            markevery=np.ones(len(up), bool) if points else _alone(up),
            label=_shortened(name),
            zorder=3 - order / len(series),
        )
    _scale(axes, log_x, log_y)
    if limit is not None:
        axes.axvline(limit, color=_COLOURS["faint"], linewidth=0.8, linestyle=(0, (4, 3)))
    if len(series) > 1:
        legend = figure.legend(
            loc="outside upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=_COLOURS["ink"]
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return _svg(figure)


def _alone(values: Numbers) -> NDArray[np.bool_]:
    """Which values have no finite one beside them, so that no line reaches them."""
    finite = np.pad(np.isfinite(np.asarray(values, dtype=np.float64)), 1)
    alone: NDArray[np.bool_] = finite[1:-1] & ~finite[:-2] & ~finite[2:]
    return alone


def bars(labels: Sequence[str], values: Numbers, *, x: str) -> Svg:
    """Horizontal bars from top to bottom.

    Args:
        labels: one for each bar; long ones are shortened in the middle.
        values: the bars' lengths.
        x: the axis' label.
    """
    figure, axes = _axes(x, "", height=0.8 + _ROW * max(len(labels), 1))
    axes.barh(range(len(labels)), values, color=_COLOURS["accent"], alpha=0.85, height=0.7)
    axes.set_yticks(range(len(labels)), [_shortened(label) for label in labels], parse_math=False)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(False, axis="y")
    return _svg(figure)


def require_charts() -> None:
    """Fail before any work is done, where nothing could be drawn in the end.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("matplotlib", "report")


def _axes(x: str, y: str, height: float = _SIZE[1]) -> tuple[Any, Any]:
    require_charts()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_COLOURS["line"])
    axes.tick_params(which="both", color=_COLOURS["line"], labelcolor=_COLOURS["faint"], labelsize=9)
    axes.grid(True, color=_COLOURS["line"], linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, color=_COLOURS["ink"], fontsize=9, parse_math=False)
    axes.set_ylabel(y, color=_COLOURS["ink"], fontsize=9, parse_math=False)
    return figure, axes


def _scale(axes: Any, log_x: bool, log_y: bool) -> None:
    """Make axes logarithmic, with powers of ten as labels."""
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    for axis, is_log in ((axes.xaxis, log_x), (axes.yaxis, log_y)):
        if is_log:
            low, high = (math.log10(end) for end in axis.get_view_interval())
            axis.set_major_formatter(_power_of_ten if high - low > _DECADES else _plain)
            axis.set_minor_formatter(_between_powers(high - low))


def _power_of_ten(value: float, _position: int) -> str:
    exponent = math.log10(value) if value > 0 else math.nan
    return f"10{str(round(exponent)).translate(_SUPERSCRIPTS)}" if exponent == round(exponent) else ""


def _plain(value: float, _position: int) -> str:
    return f"{value:.0e}" if not 1e-4 <= value < 1e6 else f"{value:g}"


def _between_powers(decades: float) -> Callable[[float, int], str]:
    """Labels between the powers of ten, where an axis may hold less than two of these."""
    named = {2, 5} if decades > _DECADES / 4 else set(range(2, 10))

    def label(value: float, position: int) -> str:
        mantissa = value / 10 ** math.floor(math.log10(value) + 1e-9)
        return _plain(value, position) if decades <= _DECADES and round(mantissa) in named else ""

    return label


def _mark(axes: Any, marks: Mapping[str, float]) -> None:
    for row, (name, position) in enumerate(marks.items()):
        axes.axvline(position, color=_COLOURS["bad"], linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            name,
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3 - 11 * row),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=_COLOURS["bad"],
            parse_math=False,
        )


def _shortened(label: str, length: int = 28) -> str:
    label = printable(label)
    return label if len(label) <= length else f"{label[: length // 2 - 1]}…{label[-length // 2 :]}"


def _svg(figure: Any) -> Svg:
    """The figure as an element that can stand in an HTML page beside others."""
    import matplotlib as mpl

    target = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(next(_salts))}):
        figure.savefig(target, format="svg", transparent=True)
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', text, count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"(font: [0-9.]+px )[^;\"]*", r"\1system-ui, sans-serif", text)
    for name, colour in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return Svg(text)
