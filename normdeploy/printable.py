"""Text from files, made safe for terminals."""

from __future__ import annotations

_LAYOUT = "\n\t"


def printable(text: str) -> str:
    r"""The text with whatever does more than show a character written as an escape.

    A name in a file may hold sequences that set a terminal's title or its clipboard, clear the screen, or
    turn the direction of writing. Line breaks and tabs stay. What is printable is what Python takes for it:
    no controls (C0, DEL, C1), no formats (direction is one), surrogates, separators other than the space or
    code points without a character.

    >>> printable("lrn\x1b]0;title\x07")
    'lrn\\x1b]0;title\\x07'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _LAYOUT else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
