"""What is known of an engine once it is built: the file that is put beside it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from normdeploy.engine import text
from normdeploy.results import Result

SCHEMA = 1

_CALLER = re.compile(r"\| ([^|\]]+) \((\w+)\)\]")
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Normalizations:
    """How the engine computes each LRN, by the names of the ONNX nodes.

    Args:
        native: by a layer of the library's own.
        plugin: by a plugin.
        function: by the layers of an ONNX function, node -> function.
    """

    native: Sequence[str]
    plugin: Sequence[str]
    function: Mapping[str, str]


@dataclass(frozen=True)
class EngineRecord(Result):
    """The result of `build`: how an engine came about.

    Args:
        engine: its file.
        engine_sha256: of that file.
        model: the ONNX file.
        model_sha256: of that file and of its external data's files, in the order of their names.
        backend: what built it.
        versions: of the library, and where a GPU took part of that and its driver.
        inputs, outputs: name, dtype and shape of each; null is an open size, whose range is min to max.
        plugins: the operators that the engine needs a plugin library for, to run as well.
        plugin_libraries: path and SHA-256 of each library that was loaded.
        timing_cache: the file, whether it was there before, and the bytes of the new one; null without.
        notes: what was asked for and could not be used, and why.
        network: each layer as parsed: name, type, the ONNX node it comes from, its outputs' types.
        layers: each layer of the engine as the builder lists it, where it does: name, type, types.
        seconds: that building took.
    """

    engine: str
    engine_sha256: str
    model: str
    model_sha256: str
    backend: str
    versions: Mapping[str, str]
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    plugins: Sequence[Mapping[str, str]]
    plugin_libraries: Sequence[Mapping[str, str]]
    timing_cache: Mapping[str, Any] | None
    notes: Sequence[str]
    network: Sequence[Mapping[str, Any]]
    layers: Sequence[Mapping[str, Any]]
    seconds: float

    @property
    def normalizations(self) -> Normalizations:
        """Where each LRN is computed."""
        named = [(layer["name"], layer["type"]) for layer in self.network]
        callers = (match for layer in self.network for match in _CALLER.finditer(layer["origin"]))
        return Normalizations(
            native=[name for name, kind in named if kind == "LRN"],
            plugin=[name for name, kind in named if kind.startswith("PLUGIN")],
            function={match[1]: match[2] for match in callers},
        )

    @property
    def layer_types(self) -> dict[str, int]:
        """Number of the network's layers of each type, the most frequent first."""
        return dict(Counter(layer["type"] for layer in self.network).most_common())

    @property
    def datatypes(self) -> dict[str, int]:
        """Number of the network's tensors of each element type, the most frequent first."""
        return dict(Counter(name for layer in self.network for name in layer["datatypes"]).most_common())

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "tf32": False,
            "layer_types": self.layer_types,
            "datatypes": self.datatypes,
            "normalizations": asdict(self.normalizations),
        }

    def __rich__(self) -> RenderableType:
        return text.render(self)


def sha256(*paths: Path) -> str:
    """The SHA-256, in hexadecimal digits, of the contents of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
