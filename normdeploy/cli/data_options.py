"""Options about a user's data, shared by the verbs that take `--data`."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import click

from normdeploy.cli.options import Command, CommaSeparated, Decorator, complete_file
from normdeploy.errors import UsageError

_SIZE = re.compile(r"(?P<first>[0-9]{1,6})(x(?P<second>[0-9]{1,6}))?")
_IMAGE_OPTIONS = ("resize", "crop", "mean", "std", "layout")


def image_size(text: str) -> int | tuple[int, int]:
    """256 -> 256; 224x336 -> (224, 336), height first."""
    match = _SIZE.fullmatch(text.lower())
    if match is None:
        raise click.BadParameter(f"'{text}' is not N or HEIGHTxWIDTH, such as 256 or 224x224")
    first = int(match["first"])
    return (first, int(match["second"])) if match["second"] else first


def channel_numbers(text: str) -> tuple[float, ...]:
    """0.5 -> (0.5,); 123.7,116.3,103.5 -> a number for each channel."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"'{text}' is not numbers with commas, such as 123.7,116.3,103.5") from None


def labels_option() -> Decorator:
    """--labels: classes of a folder's files."""
    return click.option(
        "--labels",
        metavar="FILE.csv",
        shell_complete=complete_file,
        help="Two columns, a file of the --data folder and its class; by default its subfolders' names.",
    )


def preprocess_options() -> Decorator:
    """--preprocess, and what becomes of images; the command gets one argument `preprocess`."""
    options = (
        click.option(
            "--preprocess",
            metavar="FILE.py:FUNCTION",
            shell_complete=complete_file,
            help="Called for each sample, an image as uint8 [H, W, 3]; returns what the model takes.",
        ),
        click.option(
            "--resize",
            type=image_size,
            metavar="N|HxW",
            help="Images: scale the shorter side to N, or to HxW (bilinear, antialiased).",
        ),
        click.option("--crop", type=image_size, metavar="N|HxW", help="Images: then cut out the centre."),
        click.option(
            "--mean",
            cls=CommaSeparated,
            type=channel_numbers,
            metavar="R,G,B",
            help="Images: (x - mean) / std for each channel, with x from 0 to 255.",
        ),
        click.option("--std", cls=CommaSeparated, type=channel_numbers, metavar="R,G,B", help="See --mean."),
        click.option(
            "--layout",
            type=click.Choice(["nchw", "nhwc"]),
            help="Images: where the channels go; by default as the model declares.",
        ),
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gathered(*arguments: Any, preprocess: str | None, **values: Any) -> Any:
            chosen = {name: values.pop(name) for name in _IMAGE_OPTIONS}
            return command(*arguments, preprocess=_preprocess(preprocess, chosen), **values)

        for option in reversed(options):
            gathered = option(gathered)
        return gathered  # type: ignore[return-value]

    return decorate


def _preprocess(function: str | None, chosen: dict[str, Any]) -> Any:
    from normdeploy.inputs.images import ImageOptions

    given = [f"--{name}" for name, value in chosen.items() if value is not None]
    if not given:
        return function
    if function is not None:
        raise UsageError(f"--preprocess and {given[0]} exclude each other: scale in the function")
    return ImageOptions(**chosen)


def map_option() -> Decorator:
    """--map: names of the model and of its reference."""
    return click.option(
        "--map",
        "names",
        type=_pair,
        metavar="NEW=OLD",
        multiple=True,
        callback=_as_mapping,
        help="An input or output of MODEL and what --reference calls it. May be repeated.",
    )


def _pair(text: str) -> tuple[str, str]:
    new, separator, old = text.partition("=")
    if not separator or not new or not old:
        raise click.BadParameter(f"'{text}' is not NEW=OLD, such as scores=logits")
    return new, old


def _as_mapping(_: click.Context, __: click.Parameter, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for new, old in pairs:
        if new in names:
            raise UsageError(f"--map is given twice for '{new}'")
        names[new] = old
    return names
