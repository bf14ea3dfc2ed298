"""Where the built plugin library is, and what it holds."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from normdeploy.errors import PluginUnavailable, UsageError
from normdeploy.plugin import text
from normdeploy.results import Result

LIBRARY_NAME = "libnormdeploy_plugins.so"

SCHEMA = 1


@dataclass(frozen=True)
class PluginOperator:
    """An operator that a plugin computes.

    Args:
        name, version, namespace: what TensorRT looks the plugin up with. The namespace is the ONNX domain.
    """

    name: str
    version: str
    namespace: str


@dataclass(frozen=True)
class PluginInfo(Result):
    """What a library holds.

    Attributes:
        path: the shared object.
        size_bytes: its size.
        version: of the plugin's source.
        operators: those that its plugins compute.
        architectures: the GPUs it has machine code for, as CMake writes them: "90-real" is machine code for
            sm_90, "120" is machine code for sm_120 and PTX from which the driver compiles for newer GPUs.
        cuda: version of the compiler.
        tensorrt_headers: version of the headers it was compiled with. It loads into TensorRT 10 and newer.
        headers_from: where these came from: the variable that named their folder, "system", "pip", "wheel" or
            "git".
    """

    path: Path
    size_bytes: int
    version: str
    operators: tuple[PluginOperator, ...]
    architectures: tuple[str, ...]
    cuda: str
    tensorrt_headers: str
    headers_from: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {"schema": SCHEMA, **asdict(self), "path": str(self.path)}

    def __rich__(self) -> RenderableType:
        return text.render(self)


def cache_folder() -> Path:
    """The folder of the library and of the files that building it leaves."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "normdeploy" / "plugin"


INFO_SUFFIX = ".json"
"""Of the file beside a library that tells what it holds; beside the file itself, where a link leads to it."""


def default_library() -> Path:
    """Where `build` puts the library if no other place is named."""
    return cache_folder() / LIBRARY_NAME


def path() -> Path:
    """Where the library is, as `build` puts it there.

    Returns:
        The shared object.

    Raises:
        PluginUnavailable: it has not been built.
    """
    library = default_library()
    if not library.is_file():
        raise PluginUnavailable(f"{library} is not there: run  normdeploy plugin build")
    return library


def info(library: str | os.PathLike[str] | None = None) -> PluginInfo:
    """What a library holds, by the JSON file that the build puts beside it.

    Args:
        library: by default the one of `path`.

    Raises:
        UsageError: there is no such library.
        PluginUnavailable: the default one is missing; or the JSON file of either is missing or damaged.
    """
    shared_object = path() if library is None else Path(library)
    if not shared_object.is_file():
        raise UsageError(f"{shared_object}: there is no such plugin library: run  normdeploy plugin build")
    account = Path(os.path.realpath(shared_object)).with_suffix(INFO_SUFFIX)
    try:
        size_bytes = shared_object.stat().st_size
        recorded = json.loads(account.read_text(encoding="utf-8"))
        return PluginInfo(
            path=shared_object,
            size_bytes=size_bytes,
            version=recorded["version"],
            operators=tuple(PluginOperator(**operator) for operator in recorded["plugins"]),
            architectures=tuple(recorded["architectures"].split(";")),
            cuda=recorded["cuda"],
            tensorrt_headers=recorded["tensorrt_headers"],
            headers_from=recorded["headers_from"],
        )
    except OSError as error:
        raise PluginUnavailable(
            f"{shared_object}: what it holds is not known: {account.name}: {error.strerror}: "
            "run  normdeploy plugin build"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PluginUnavailable(
            f"{shared_object}: what it holds is not known: {account.name} is damaged: "
            "run  normdeploy plugin build"
        ) from error
