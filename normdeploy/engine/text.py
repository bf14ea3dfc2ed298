"""An engine's record as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from normdeploy.engine.record import EngineRecord

_RANGE = ("min", "opt", "max")


def render(record: EngineRecord) -> RenderableType:
    """What was built of what, with which library, and what is in it."""
    return Group(Text(f"{record.engine} from {record.model} {made(record)}"), contents(record))


def made(record: EngineRecord) -> str:
    """With which library, and how long that took."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return f"({versions}) in {record.seconds:.1f} s"


def contents(record: EngineRecord) -> RenderableType:
    """The inputs' shapes, how each LRN is computed, the plugins that are needed, and notes."""
    return Group(*(Text(f"  {line}") for line in _contents(record)))


def _contents(record: EngineRecord) -> Iterator[str]:
    for declared in record.inputs:
        shapes = [declared["shape"]] if "min" not in declared else [declared[key] for key in _RANGE]
        distinct = dict.fromkeys(map(_sizes, shapes))
        yield f"input {declared['name']}: {declared['dtype']} {' '.join(distinct)}"
    found = record.normalizations
    for node in found.native:
        yield f"LRN {node}: native layer"
    for node in found.plugin:
        yield f"LRN {node}: plugin"
    for node, function in found.function.items():
        yield f"{function} {node}: function of standard operators"
    for operator in record.plugins:
        named = f"{operator['namespace']}::{operator['name']}"
        yield f"needs the plugin {named}, version {operator['version']}"
    yield from record.notes


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
