"""Arguments and options that several verbs share, each defined once, and the values that they take.

Nothing heavy is imported: `--help` and completion in the shell need the names only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import click
from click.shell_completion import CompletionItem

from normdeploy.choices import BACKEND_NAMES, BACKEND_TIMEOUT
from normdeploy.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
Value = TypeVar("Value")
Named = tuple[str, Value]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


class Decorator(Protocol):
    """Adds an argument or an option to a command."""

    def __call__(self, command: Command, /) -> Command: ...


class CommaSeparated(click.Option):
    """An option of several values with commas between them. A file of defaults may have a list for it."""


class Number(click.FloatRange):
    """A number in a range. NaN, which no comparison rules out, is in none: no gate at NaN is ever missed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number.

        Raises:
            click.BadParameter: it is NaN, beyond the range, or no number.
        """
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


_SIZE = re.compile(r"[0-9]{1,18}")
_BYTES = re.compile(r"([0-9]{1,18}) ?(?:([KMGT])(?:I?B)?)?")


def named_shape(text: str) -> Named[tuple[int, ...]]:
    """NAME:1x3x224x224 -> (name, sizes); NAME: alone is a scalar's. A name may hold colons itself."""
    name, separator, sizes = text.rpartition(":")
    parts = sizes.lower().split("x") if sizes else []
    if not separator or not name or not all(_SIZE.fullmatch(part) for part in parts):
        raise click.BadParameter(f"'{text}' is not NAME:SIZES, such as input:1x3x224x224")
    return name, tuple(int(part) for part in parts)


def named_axis(text: str) -> Named[int]:
    """NAME:AXIS -> (name, axis)."""
    name, separator, axis = text.rpartition(":")
    if not separator or not name or not _SIZE.fullmatch(axis):
        raise click.BadParameter(f"'{text}' is not NAME:AXIS, such as input:0")
    return name, int(axis)


def memory_size(text: str) -> int:
    """4G -> bytes; K, M, G and T are powers of 1024."""
    found = _BYTES.fullmatch(text.strip().upper())
    if found is None or not int(found[1]):
        raise click.BadParameter(f"'{text}' is no size of memory, such as 4G or 500M")
    return int(found[1]) << 10 * " KMGT".index(found[2] or " ")


def complete_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows the files."""
    return [CompletionItem(incomplete, type="file")]


def model_argument(metavar: str = "MODEL.onnx") -> Decorator:
    """The model, by its path."""
    return click.argument("model", metavar=metavar, shell_complete=complete_file)


def output_option(metavar: str, about: str = "The file to write.") -> Decorator:
    """-o: the file to write; it has to be given."""
    return click.option(
        "-o", "--output", required=True, metavar=metavar, help=about, shell_complete=complete_file
    )


def backends_option() -> Decorator:
    """--backend: any number of them. Which there are is for the library to say."""
    return click.option(
        "--backend",
        "backends",
        metavar="NAME",
        multiple=True,
        shell_complete=completer(BACKEND_NAMES),
        help=f"{', '.join(BACKEND_NAMES)}. May be repeated; by default all that work on this machine.",
    )


def completer(names: Sequence[str]) -> Completer:
    """Completes one of these names."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return complete


def shapes_option(
    about: str = "Of an input whose shape the model leaves open.",
    value: Callable[[str], Named[Any]] = named_shape,
) -> Decorator:
    """--shape: by the inputs' names.

    Args:
        about: whose shapes they are.
        value: reads one.
    """
    return click.option(
        "--shape",
        "shapes",
        type=value,
        metavar="NAME:1x3x224x224",
        multiple=True,
        callback=_by_name,
        help=about,
    )


def _by_name(_: click.Context, __: click.Parameter, shapes: Sequence[Named[Value]]) -> dict[str, Value]:
    named: dict[str, Value] = {}
    for name, shape in shapes:
        if name in named:
            raise UsageError(f"--shape is given twice for '{name}'")
        named[name] = shape
    return named


def data_option(about: str) -> Decorator:
    """--data: a user's inputs."""
    return click.option("--data", metavar="INPUTS", shell_complete=complete_file, help=about)


def seed_option() -> Decorator:
    """--seed: of random inputs."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        show_default=True,
        help="Of random inputs.",
    )


def timeout_option(about: str, default: float = BACKEND_TIMEOUT) -> Decorator:
    """--timeout: seconds."""
    return click.option(
        "--timeout", type=float, metavar="SECONDS", default=default, show_default=True, help=about
    )


def max_memory_option(what: str = "the model") -> Decorator:
    """--max-memory: bytes.

    Args:
        what: the command may take them for.
    """
    return click.option(
        "--max-memory",
        type=memory_size,
        metavar="BYTES",
        help=f"That the command may take for {what}, such as 4G; by default half of the machine's memory.",
    )


def plugins_option(about: str) -> Decorator:
    """--plugin: any number of libraries."""
    return click.option(
        "--plugin",
        "plugins",
        metavar="LIB.so",
        multiple=True,
        shell_complete=complete_file,
        help=f"{about} May be repeated.",
    )


def json_option(what: str) -> Decorator:
    """--json: where the result goes as JSON."""
    return click.option(
        "--json",
        "json_path",
        metavar="FILE",
        shell_complete=complete_file,
        help=f"Write {what} as JSON; - for standard output.",
    )


def html_option(what: str) -> Decorator:
    """--html: where the result goes as a page."""
    return click.option(
        "--html",
        "html_path",
        metavar="FILE",
        shell_complete=complete_file,
        help=f"Write {what} as one self-contained page with charts; - for standard output.",
    )
