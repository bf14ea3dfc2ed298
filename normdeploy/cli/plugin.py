"""`normdeploy plugin build|path|info`."""

from __future__ import annotations

from typing import get_args

import click
from rich.console import Console
from rich.table import Table

from normdeploy.cli.group import Group
from normdeploy.cli.output import console
from normdeploy.plugin import PluginInfo, build, info, path
from normdeploy.plugin.builder import Headers


@click.group(name="plugin", cls=Group)
def command() -> None:
    """The TensorRT plugin library: build it, say where it is and what it holds."""


@command.command(name="build")
@click.option("-o", "output", metavar="LIB.so", help="By default a folder of the user's cache.")
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
    output: str | None, architectures: tuple[str, ...], headers: Headers, jobs: int | None
) -> None:
    """Compile the library; needs nvcc, a C++ compiler and CMake, but no GPU and no TensorRT."""
    with Console(stderr=True).status("compiling the plugin"):
        library = build(output, architectures=architectures or None, headers=headers, jobs=jobs)
    click.echo(str(library))


@command.command(name="path")
def path_command() -> None:
    """Print where the library is."""
    click.echo(str(path()))


@command.command(name="info")
@click.argument("library", metavar="[LIB.so]", required=False)
def info_command(library: str | None) -> None:
    """Say what the library holds: operators, architectures, versions."""
    console().print(_table(info(library)))


def _table(found: PluginInfo) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("library", str(found.path))
    table.add_row("size", f"{found.size_bytes / 1e6:.1f} MB")
    table.add_row("version", found.version)
    for operator in found.operators:
        table.add_row("operator", f"{operator.namespace}::{operator.name}, version {operator.version}")
    table.add_row("architectures", ", ".join(found.architectures))
    table.add_row("compiled with", f"CUDA {found.cuda}, TensorRT {found.tensorrt_headers} headers")
    return table
