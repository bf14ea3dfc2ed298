"""`normdeploy plugin build|path|info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from normdeploy.choices import Headers
from normdeploy.cli.group import Group
from normdeploy.cli.options import complete_file
from normdeploy.cli.output import status


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
    help="TensorRT's: find them (TensorRT_ROOT, system), or fetch them by git or as a wheel from PyPI; "
    "auto finds or else fetches by git.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="By default one per core.")
def build_command(
    output: str | None, architectures: Sequence[str], headers: Headers, jobs: int | None
) -> None:
    """Compile the library; needs nvcc, a C++ compiler and CMake, but no GPU and no TensorRT."""
    from normdeploy.plugin import build

    with status("compiling the plugin"):
        library = build(output, architectures=architectures or None, headers=headers, jobs=jobs)
    click.echo(str(library))


@command.command(name="path")
def path_command() -> None:
    """Print where the library is."""
    from normdeploy.plugin import path

    click.echo(str(path()))


@command.command(name="info")
@click.argument("library", metavar="[LIB.so]", required=False, shell_complete=complete_file)
def info_command(library: str | None) -> None:
    """Say what the library holds: operators, architectures, versions."""
    from normdeploy.plugin import info
    from normdeploy.terminal import show

    show(info(library))
