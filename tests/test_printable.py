"""Nothing that a terminal would obey is left in a text."""

import sys
import unicodedata

import pytest

from normdeploy.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("features.0/Conv_1", "features.0/Conv_1"),
        ("größer 正規化 😀", "größer 正規化 😀"),
        ("two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("back\x08\x7f\r", r"back\x08\x7f\r"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_examples(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_every_character():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        shown = printable(character)
        if unicodedata.category(character)[0] == "C":
            assert shown != character
            assert shown.isascii()
            assert shown.isprintable()
    assert all(printable(chr(code)) == chr(code) for code in range(32, 127))
