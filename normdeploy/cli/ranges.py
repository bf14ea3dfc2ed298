"""Shapes and ranges of shapes, as options give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from normdeploy.cli.options import named_shape

if TYPE_CHECKING:
    from normdeploy.inputs.ranges import Range

_SIZES = re.compile(r"[0-9]+([xX][0-9]+)*")


def shape_or_range(text: str) -> tuple[str, tuple[int, ...] | Range]:
    """NAME:MIN:OPT:MAX -> (name, range), or NAME:SIZES -> (name, shape). A name may hold colons itself."""
    from normdeploy.inputs.ranges import Range

    *name, smallest, best, largest = ("", "", *text.split(":"))
    if any(name) and all(map(_SIZES.fullmatch, (smallest, best, largest))):
        shapes = (named_shape(f"{text}:{sizes}")[1] for sizes in (smallest, best, largest))
        return ":".join(name[2:]), Range(*shapes)
    return named_shape(text)
