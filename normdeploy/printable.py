"""Text from files, made safe for terminals."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with whatever does more than show a character written as an escape.

    A name in a file may hold sequences that set a terminal's title or its clipboard, clear the screen, or
    turn the direction of writing; a line break in one makes a line that looks like ours. What is printable
    is what Python takes for it: no controls (C0, DEL, C1), no formats (direction is one), surrogates,
    separators other than the space or code points without a character.

    >>> printable("lrn\x1b]0;title\x07\nverdict: pass")
    'lrn\\x1b]0;title\\x07\\nverdict: pass'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
