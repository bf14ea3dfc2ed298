"""Option values that several verbs share."""

from __future__ import annotations

import re
from typing import TypeVar

import click

from normdeploy.errors import UsageError

Shape = TypeVar("Shape")

_SIZE = re.compile(r"[0-9]{1,18}")

SHAPE_METAVAR = "NAME:1x3x224x224"


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """NAME:1x3x224x224 -> (name, sizes); NAME: alone is a scalar's. A name may hold colons itself."""
    name, separator, sizes = text.rpartition(":")
    parts = sizes.lower().split("x") if sizes else []
    if not separator or not name or not all(_SIZE.fullmatch(part) for part in parts):
        raise click.BadParameter(f"'{text}' is not NAME:SIZES, such as input:1x3x224x224")
    return name, tuple(int(part) for part in parts)


def by_name(shapes: tuple[tuple[str, Shape], ...]) -> dict[str, Shape]:
    """The shapes of repeated options.

    Raises:
        UsageError: two for one name.
    """
    named: dict[str, Shape] = {}
    for name, shape in shapes:
        if name in named:
            raise UsageError(f"--shape is given twice for '{name}'")
        named[name] = shape
    return named


def named_axis(text: str) -> tuple[str, int]:
    """NAME:AXIS -> (name, axis)."""
    name, separator, axis = text.rpartition(":")
    if not separator or not name or not _SIZE.fullmatch(axis):
        raise click.BadParameter(f"'{text}' is not NAME:AXIS, such as input:0")
    return name, int(axis)


def axes_by_name(axes: tuple[tuple[str, int], ...]) -> dict[str, list[int]]:
    """The axes of repeated options."""
    named: dict[str, list[int]] = {}
    for name, axis in axes:
        named.setdefault(name, []).append(axis)
    return named
