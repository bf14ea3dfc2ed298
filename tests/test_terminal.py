"""Text for terminals: tables of counts, and controls that do not reach the terminal."""

import io
import re

import pytest
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from normdeploy.terminal import SafeConsole, as_html, as_text, counts_table, stacked


def rows(counts):
    """The table's rows as words."""
    return [line.split() for line in as_text(counts_table("what", counts)).splitlines() if line.strip()][2:]


def test_the_most_frequent_is_first_and_what_is_missing_is_none():
    assert rows({"before": {"a": 1, "b": 3}, "after": {"c": 2, "b": 1}}) == [
        ["b", "3", "1"], ["c", "0", "2"], ["a", "1", "0"],
    ]  # fmt: skip


def test_the_rarest_share_a_row():
    shown = rows({"nodes": {f"op{index}": 100 - index for index in range(20)}})
    assert shown[14] == ["op14", "86"]
    assert shown[15:] == [["5", "others", "415"]]


def test_a_single_one_more_has_a_row_of_its_own():
    assert rows({"nodes": {f"op{index}": 100 - index for index in range(16)}})[15] == ["op15", "85"]


def test_names_are_no_markup():
    assert rows({"nodes": {"[red]x": 1}}) == [["[red]x", "1"]]


HOSTILE = "a\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e\nverdict: pass"


class TestEscaping:
    @staticmethod
    def contents():
        table = Table(title=escape(HOSTILE))
        table.add_column(escape(HOSTILE))
        table.add_row(f"[red]{escape(HOSTILE)}[/]")
        return [Text(HOSTILE), table, Group(Text(HOSTILE)), Panel(Text(HOSTILE)), escape(HOSTILE)]

    @pytest.mark.parametrize("index", range(5))
    def test_text(self, index):
        shown = as_text(self.contents()[index])
        assert r"\x1b" in shown
        assert r"\nverdict: pass" in shown
        assert all(character.isprintable() or character == "\n" for character in shown)

    @pytest.mark.parametrize("index", range(5))
    def test_html(self, index):
        shown = as_html(self.contents()[index])
        assert r"\nverdict: pass" in shown
        assert all(character.isprintable() or character == "\n" for character in shown)

    @pytest.mark.parametrize("index", range(5))
    def test_a_terminal_gets_richs_own_colours_only(self, index):
        target = io.StringIO()
        SafeConsole(file=target, force_terminal=True, color_system="truecolor", width=200).print(
            self.contents()[index]
        )
        rest = re.sub(r"\x1b\[[0-9;]*m", "", target.getvalue())
        assert r"\nverdict: pass" in rest
        assert all(character.isprintable() or character == "\n" for character in rest)

    def test_lines_of_a_cell_are_ours_alone(self):
        table = Table(box=None, show_header=False)
        table.add_row(stacked("a\nb", "c\x07"), "d\ne")
        assert [line.split() for line in as_text(table).splitlines()] == [[r"a\nb", r"d\ne"], [r"c\x07"]]

    def test_styles_stay_where_they_were(self):
        target = io.StringIO()
        text = Text.assemble(("a\n", "red"), "\x1b", ("b", "green"))
        SafeConsole(file=target, force_terminal=True, color_system="standard").print(text)
        assert target.getvalue() == "\x1b[31ma\\n\x1b[0m\\x1b\x1b[32mb\x1b[0m\n"

    def test_colours_stay(self):
        target = io.StringIO()
        SafeConsole(file=target, force_terminal=True, color_system="standard").print(Text("x", "red"))
        assert target.getvalue() == "\x1b[31mx\x1b[0m\n"
