"""Reads the package's docstrings as Markdown: a griffe extension for the site's Python pages."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """`Example:` is a section as `Examples:` is, and `::` before an indented block is a colon."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r" ?::$", ":", text, flags=re.MULTILINE)
