"""Build an engine from an ONNX model, in a process of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from normdeploy.backends.catalog import BACKENDS
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.tensorrt.plugins import plugin_libraries
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.engine.record import EngineRecord, sha256
from normdeploy.engine.shapes import Range, profile_shapes
from normdeploy.errors import BackendFailure, BackendUnavailable, UsageError
from normdeploy.files import staged
from normdeploy.graph.inference import infer
from normdeploy.graph.io import ModelSource, external_files, load, model_name, on_disk
from normdeploy.inputs.declared import declared_inputs

DEFAULT_TIMEOUT = 3600.0

_COMPILER = "normdeploy.backends.tensorrt.compiler:open_compiler"


def build(
    model: ModelSource,
    output: str | os.PathLike[str],
    *,
    backend: str | None = None,
    shapes: Mapping[str, Sequence[int] | Range] | None = None,
    plugins: Sequence[str | os.PathLike[str]] = (),
    timing_cache: str | os.PathLike[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> EngineRecord:
    """Build an engine; float32 layers compute in float32, without TF32, and float16 ones in float16.

    Args:
        model: the ONNX model. Its types decide the engine's.
        output: the engine's file. Its record is put beside it, as OUTPUT.json.
        backend: "tensorrt" or "tensorrt-rtx"; by default the first that can build on this machine.
            tensorrt-rtx needs no GPU to build.
        shapes: of each input whose shape the model leaves open: one shape, or a range of shapes.
        plugins: libraries whose operators replace the model's functions of the same names. tensorrt-rtx
            takes none: there the functions stay, and the record notes it.
        timing_cache: a file of measurements, used if it is there and written again.
        timeout: seconds that loading the model and building may take each.

    Raises:
        UsageError, InputError, ModelError: bad arguments or a bad model.
        BackendFailure: the backend is not available, refuses the model, crashed, or took too long.
    """
    if not timeout > 0:
        raise UsageError(f"timeout must be above 0, got {timeout}")
    if backend is not None and backend not in LIBRARIES:
        raise UsageError(f"'{backend}' builds no engines: choose from {', '.join(LIBRARIES)}")
    libraries = plugin_libraries(plugins)
    loaded = load(model)
    infer(loaded)
    ranges = profile_shapes(declared_inputs(loaded), shapes or {})
    library = _library(backend)
    notes = _unusable(library, libraries, timing_cache)
    if not library.takes_plugins:
        libraries = []
    began = time.monotonic()
    with ExitStack() as stack:
        path = stack.enter_context(on_disk(model))
        part = stack.enter_context(staged(output))
        caches: list[Path] = []
        if timing_cache is not None and library.has_timing_cache:
            caches = [Path(timing_cache), stack.enter_context(staged(timing_cache))]
        known = bool(caches) and caches[0].is_file()
        options = {
            "library": library.name,
            "engine": str(part.resolve()),
            "shapes": ranges,
            "plugins": [str(plugin) for plugin in libraries],
            "timing_cache": [str(cache.resolve()) for cache in caches],
        }
        versions, described = _compile(path, options, timeout)
        record = EngineRecord(
            engine=Path(output).name,
            engine_sha256=sha256(part),
            model=model_name(model),
            model_sha256=sha256(path, *sorted(external_files(load(path)))),
            backend=library.name,
            versions=versions,
            inputs=described["inputs"],
            outputs=described["outputs"],
            plugins=described["plugins"],
            plugin_libraries=[{"path": str(file), "sha256": sha256(file)} for file in libraries],
            timing_cache=_cache_record(caches, known),
            notes=notes,
            network=described["network"],
            layers=described["engine"],
            seconds=time.monotonic() - began,
        )
        part.with_name(f"{part.name}.json").write_text(json.dumps(record.to_json(), indent=2) + "\n")
    return record


def _library(name: str | None) -> Library:
    """The library of that name, or the first that can build on this machine.

    Raises:
        BackendFailure: there is none.
    """
    candidates = [LIBRARIES[name]] if name is not None else list(LIBRARIES.values())
    reasons = {}
    for library in candidates:
        reason = BACKENDS[library.name].missing(without_gpu=library.builds_without_gpu)
        if reason is None:
            return library
        reasons[library.name] = reason
    raise BackendUnavailable(
        ". ".join(f"{library} is unavailable: {reason}" for library, reason in reasons.items())
    )


def _unusable(library: Library, plugins: Sequence[Path], timing_cache: object) -> list[str]:
    notes = []
    if plugins and not library.takes_plugins:
        notes.append(f"{library.name} takes no plugins: the model's functions are built instead")
    if timing_cache is not None and not library.has_timing_cache:
        notes.append(f"{library.name} has no timing cache: it measures nothing when it builds")
    return notes


def _compile(
    path: Path, options: Mapping[str, Any], timeout: float
) -> tuple[Mapping[str, str], dict[str, Any]]:
    """The library's versions, and its account of the engine that it wrote."""
    name = options["library"]
    try:
        with WorkerSession(_COMPILER, path, timeout, options) as compiler:
            compiler.ready()
            answer, _ = compiler.ask({"request": "build"}, {}, "building the engine")
            return compiler.versions, answer["description"]
    except BackendFailure as failure:
        last_words = f" ({failure.log[-1]})" if failure.log and "its process" in failure.reason else ""
        raise type(failure)(f"{name}: {failure.reason}{last_words}", failure.log) from failure


def _cache_record(caches: Sequence[Path], known: bool) -> dict[str, Any] | None:
    if not caches:
        return None
    path, part = caches
    return {"path": str(path), "reused": known, "bytes": part.stat().st_size}
