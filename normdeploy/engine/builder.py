"""`build`: an engine from an ONNX model, built in a process of its own."""

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
from normdeploy.budget import spending
from normdeploy.choices import BUILD_TIMEOUT
from normdeploy.engine.record import EngineRecord, sha256
from normdeploy.engine.shapes import profile_shapes
from normdeploy.errors import BackendFailure, BackendUnavailable, UsageError, suggestion
from normdeploy.files import is_stdout, staged
from normdeploy.graph.external_data import external_files
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import ModelSource, load, model_name, on_disk
from normdeploy.graph.strict import refused_if_invalid
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.ranges import Range

_COMPILER = "normdeploy.backends.tensorrt.compiler:open_compiler"


def build(
    model: ModelSource,
    output: str | os.PathLike[str],
    *,
    backend: str | None = None,
    shapes: Mapping[str, Sequence[int] | Range] | None = None,
    plugins: Sequence[str | os.PathLike[str]] = (),
    timing_cache: str | os.PathLike[str] | None = None,
    timeout: float = BUILD_TIMEOUT,
    max_memory: float | None = None,
) -> EngineRecord:
    """Build an engine from an ONNX model.

    Each layer computes in the types that the model says; float32 layers multiply without TF32.

    Args:
        model: the ONNX model, as a path, a protobuf message or a graph of onnx_ir, which stays as it is.
        output: the engine's file. Its record goes beside it, into OUTPUT.json.
        backend: "tensorrt" or "tensorrt-rtx"; by default the first that can build on this machine.
            tensorrt-rtx needs no GPU to build.
        shapes: of each input whose shape the model leaves open: one shape, or a `Range` of shapes.
        plugins: plugin libraries, whose operators replace the model's functions of the same names.
            tensorrt-rtx takes none: there the functions stay, and the record notes it.
        timing_cache: a file of kernels' times, which is read if it is there, and written again. tensorrt-rtx
            has none, which the record notes.
        timeout: seconds that loading the model and building the engine may take each.
        max_memory: bytes that this process may take to read the model, half of the machine's by default.

    Returns:
        The record: what the engine was built of, its inputs and outputs, and how each LRN is computed. It
        prints as the lines that `normdeploy build` shows.

    Raises:
        UsageError: an argument makes no sense, a plugin library is not there, or a file cannot be written.
        InputError: the model does not take a shape that is given.
        ModelError: the model is malformed; BudgetExceeded where reading it would take too much.
        BackendUnavailable: no library that can build is on this machine, or a plugin library does not load.
        BackendCrashed: the library refuses the model, or its process ended.
        BackendTimeout: it took longer than the time limit.
        In each case no file is written.

    Example:
        >>> import tempfile
        >>> import normdeploy as nd
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record = nd.build("models/digits/digits.onnx", f"{folder}/digits.engine",
        ...                       backend="tensorrt-rtx", shapes={"image": (1, 1, 8, 8)})
        >>> record.normalizations.native
        ['features.3']
        >>> record.normalizations.function
        {'features.7': 'IntraChannelLRN'}
    """
    if not timeout > 0:
        raise UsageError(f"timeout must be above 0, got {timeout}")
    if backend is not None and backend not in LIBRARIES:
        raise UsageError(f"'{backend}' builds no engines: {suggestion(backend, LIBRARIES)}")
    if is_stdout(output):
        raise UsageError("-o has to name a file: the engine's record is written beside it")
    named = plugin_libraries(plugins)
    with refused_if_invalid(model), spending(timeout, max_memory):
        ranges = profile_shapes(declared_inputs(inferred(model)), shapes or {})
    library = _library(backend)
    libraries = named if library.takes_plugins else []
    began = time.monotonic()
    with ExitStack() as stack:
        path = stack.enter_context(on_disk(model))
        part = stack.enter_context(staged(output))
        caches: list[Path] = []
        if timing_cache is not None and library.has_timing_cache:
            caches = [Path(timing_cache), stack.enter_context(staged(timing_cache))]
        known = bool(caches) and os.path.isfile(caches[0])
        options = {
            "library": library.name,
            "engine": str(part.resolve()),
            "shapes": ranges,
            "plugins": [str(plugin) for plugin in libraries],
            "timing_cache": [str(cache.resolve()) for cache in caches],
        }
        versions, description = _compile(path, options, timeout)
        record = EngineRecord(
            engine=Path(output).name,
            engine_sha256=sha256(part),
            model=model_name(model),
            model_sha256=sha256(path, *sorted(external_files(load(path)))),
            backend=library.name,
            versions=versions,
            inputs=description["inputs"],
            outputs=description["outputs"],
            plugins=description["plugins"],
            plugin_libraries=[{"path": str(file), "sha256": sha256(file)} for file in libraries],
            timing_cache=_cache_record(caches, known),
            notes=_unusable(library, named, timing_cache),
            network=description["network"],
            layers=description["engine"],
            seconds=time.monotonic() - began,
        )
        part.with_name(f"{part.name}.json").write_text(json.dumps(record.to_json(), indent=2) + "\n")
    return record


def _library(name: str | None) -> Library:
    """The library of this name, or the first that can build on this machine.

    Raises:
        BackendUnavailable: it cannot, or none can; the message has the reasons.
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
    """Notes on what is asked for and cannot be used."""
    notes = []
    if plugins and not library.takes_plugins:
        notes.append(f"{library.name} takes no plugins: the model's functions are built instead")
    if timing_cache is not None and not library.has_timing_cache:
        notes.append(f"{library.name} has no timing cache: it measures nothing when it builds")
    return notes


def _compile(
    path: Path, options: Mapping[str, Any], timeout: float
) -> tuple[Mapping[str, str], dict[str, Any]]:
    """Build in a worker process; the library's versions, and its description of the engine.

    Raises:
        BackendUnavailable, BackendCrashed, BackendTimeout: see `build`; the message begins with the library's
            name, and has the last words of a process that ended.
    """
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
    """The record's account of the timing cache: its file, whether it was there before, its new size."""
    if not caches:
        return None
    path, part = caches
    return {"path": str(path), "reused": known, "bytes": part.stat().st_size}
