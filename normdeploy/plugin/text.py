"""What a plugin library holds, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from normdeploy.plugin.library import PluginInfo


def render(found: PluginInfo) -> Table:
    """File, operators, architectures, versions."""
    table = Table(show_header=False, box=None)
    table.add_row("library", escape(str(found.path)))
    table.add_row("size", f"{found.size_bytes / 1e6:.1f} MB")
    table.add_row("version", found.version)
    for operator in found.operators:
        table.add_row("operator", f"{operator.namespace}::{operator.name}, version {operator.version}")
    table.add_row("architectures", ", ".join(found.architectures))
    table.add_row(
        "compiled with",
        f"CUDA {found.cuda}, TensorRT {found.tensorrt_headers} headers ({found.headers_from})",
    )
    return table
