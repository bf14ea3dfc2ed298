"""`normdeploy plugin build|path|info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from normdeploy.choices import Headers
from normdeploy.cli.group import Group
from normdeploy.cli.options import complete_file, json_option
from normdeploy.cli.output import deliver, require_apart, say, status


@click.group(name="plugin", cls=Group)
def command() -> None:
    """The TensorRT plugin library: build it, say where it is and what it holds."""


@command.command(name="build")
@click.option(
    "-o",
    "output",
    metavar="LIB.so",
    shell_complete=complete_file,
    help="By default a folder of the user's cache.",
)
@click.option(
    "--arch",
    "architectures",
    metavar="ARCH",
    multiple=True,
    help="As CMake names it: 90-real, 120, native. May be repeated; by default all from sm_75 to sm_120.",
)
@click.option(
    "--headers",
    type=click.Choice(get_args(Headers)),
    default="auto",
    show_default=True,
    help="TensorRT's: find them (TensorRT_ROOT, TENSORRT_ROOT, TRT_ROOT, system), or fetch them as a wheel "
    "from PyPI or by git; auto tries these in turn.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="By default one per core.")
@json_option("what the library holds")
def build_command(
    output: str | None,
    architectures: Sequence[str],
    headers: Headers,
    jobs: int | None,
    json_path: str | None,
) -> None:
    """Compile the library; needs nvcc, a C++ compiler and CMake, but no GPU and no TensorRT."""
    from rich.text import Text

    from normdeploy.plugin import build, info

    require_apart(output=output, json=json_path)
    with status("compiling the plugin"):
        library = build(output, architectures=architectures or None, headers=headers, jobs=jobs)
    deliver(info(library), json_path, Text(str(library)))


@command.command(name="path")
@json_option("what the library holds")
def path_command(json_path: str | None) -> None:
    """Print where the library is."""
    from rich.text import Text

    from normdeploy.plugin import info, path

    library = path()
    if json_path is None:
        say(str(library))
    else:
        deliver(info(library), json_path, Text(str(library)))


@command.command(name="info")
@click.argument("library", metavar="[LIB.so]", required=False, shell_complete=complete_file)
@json_option("what the library holds")
def info_command(library: str | None, json_path: str | None) -> None:
    """Say what the library holds: operators, architectures, versions."""
    from normdeploy.plugin import info

    require_apart([library], json=json_path)
    deliver(info(library), json_path)
