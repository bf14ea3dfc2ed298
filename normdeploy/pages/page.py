"""A page that grows from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape as html_escape
from typing import Literal

from normdeploy.pages.charts import Svg
from normdeploy.pages.style import CSS
from normdeploy.printable import printable

Tone = Literal["", "note", "good", "warn", "bad"]
"""How a text is meant: a colour, never the only sign."""


_LONG = 40
"""Characters beyond which a cell's words need a column of some width."""


@dataclass(frozen=True)
class Cell:
    """A table's cell with a tone."""

    text: str
    tone: Tone = ""


class Page:
    """One HTML document. Texts are plain, and escaped when the page is written.

    Args:
        title: in the browser's tab and at the top.
        subtitle: below it.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._title = title
        self._parts: list[str] = [f"<h1>{escape(title)}</h1>"]
        self._in_figures = False
        if subtitle:
            self._add(_element("p", subtitle, "subtitle"))

    def add_badge(self, text: str, tone: Tone) -> None:
        """The page's result.

        Args:
            text: a word or two.
            tone: how good that is.
        """
        self._add(f"<div>{_element('span', text, f'badge {tone}')}</div>")

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._add(_element("h2", text))

    def add_text(self, text: str, tone: Tone = "") -> None:
        """A paragraph."""
        self._add(_element("p", text, tone))

    def add_table(
        self, headings: Sequence[str], rows: Sequence[Sequence[str | Cell]], caption: str = ""
    ) -> None:
        """A table, which scrolls inside its own box where it is too wide.

        A column is set as numbers, to the right, if every cell of it is a number or a dash.

        Args:
            headings: of the columns.
            rows: a cell for each heading.
            caption: above the table.

        Raises:
            ValueError: a row of another length than the headings.
        """
        if any(len(row) != len(headings) for row in rows):
            raise ValueError("every row of a table has a cell for each heading")
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        classes = [_kind([row[column].text for row in cells]) for column in range(len(headings))]
        head = "".join(_element("th", text, kind) for text, kind in zip(headings, classes, strict=True))
        body = "".join(
            "<tr>"
            + "".join(
                _element("td", cell.text, f"{kind} {cell.tone}")
                for cell, kind in zip(row, classes, strict=True)
            )
            + "</tr>\n"
            for row in cells
        )
        self._add(
            f'<div class="scroll"><table>{_element("caption", caption) if caption else ""}'
            f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        )

    def add_figure(self, figure: Svg, caption: str) -> None:
        """A chart; consecutive ones stand side by side where there is room.

        Args:
            figure: from `charts`.
            caption: above it, also for those who cannot see it.
        """
        if not self._in_figures:
            self._add('<div class="figures">')
            self._in_figures = True
        label = escape(caption)
        image = figure.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        self._parts.append(f"<figure><figcaption>{label}</figcaption>{image}</figure>")

    def html(self) -> str:
        """The whole document."""
        self._end_figures()
        body = "\n".join(self._parts)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n<style>{CSS}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def _add(self, part: str) -> None:
        self._end_figures()
        self._parts.append(part)

    def _end_figures(self) -> None:
        if self._in_figures:
            self._parts.append("</div>")
            self._in_figures = False


def escape(text: str) -> str:
    """Text that is neither markup to a browser nor a control to a terminal, where a page may be shown too."""
    return html_escape(printable(text))


def _element(name: str, text: str, kind: str = "") -> str:
    kind = kind.strip()
    attribute = f' class="{kind}"' if kind else ""
    return f"<{name}{attribute}>{escape(text)}</{name}>"


def _kind(column: Sequence[str]) -> str:
    """How a column is set."""
    if any(column) and all(map(_is_number, column)):
        return "number"
    return "prose" if any(" " in text[_LONG:] for text in column) else ""


def _is_number(text: str) -> bool:
    if text.strip() in ("", "-", "–"):
        return True
    try:
        float(text.replace(",", "").rstrip("%"))
    except ValueError:
        return False
    return True
