"""The process that a backend runs in: `python -m normdeploy.backends.worker`.

Requests come on standard input, replies leave on what was standard output; `protocol` says how each looks.
Whatever native code prints to either stream ends on standard error. The first message names a factory, which
opens a `Session` or an `EngineBuilder` for one model::

    {"factory": "module:function", "model": path, "memory_limit": bytes | null, "options": {...}}
        ->  {"versions": {...}, "build_ns": nanoseconds}    without the time of importing the runtime

An `EngineBuilder` serves one request::

    {"request": "build"}  ->  {"description": {...}}    of the engine, whose file has been written

A `Session` serves the others. `run` takes the model's inputs and gives its outputs, as arrays; the rest
time it, see `measurement`::

    {"request": "run"} + inputs  ->  {} + outputs
    {"request": "hold"} + inputs, stacked along a first axis  ->  {"first_ns": nanoseconds of the first run}
    {"request": "measure", "seconds": s, "untimed": runs}
        ->  {"peak_memory_bytes": N | null, "peak_device_memory_bytes": N | null,    null where nothing tells
             "cuda_graph": bool | null, "cuda_graph_refusal": reason}
            + began_ns, latency_ns: int64 per run; phases_ms: (runs, 3), see `PhasedSession`
    {"request": "layers", "runs": N}
        ->  {"layers": [`LayerTime`] | null,
             "copy_bandwidth": bytes per second, read and written together | null}    see `Device`

A failure is answered as {"error": message, "status": "crashed" | "unavailable"}, after which the process
ends. The end of the requests, or of the parent process, ends it too.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from normdeploy.backends.measurement import Measurement
from normdeploy.backends.protocol import decode, encode
from normdeploy.backends.session import EngineBuilder, Factory, Session
from normdeploy.dtypes import Array
from normdeploy.errors import BackendUnavailable, MissingDependencyError, NormdeployError, UsageError
from normdeploy.resources import limit_memory, no_core_dumps

Message = tuple[Mapping[str, Any], Mapping[str, Array]]
"""A header and arrays."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve requests until they end."""
    requests, replies = _take_streams()
    _die_with_parent()
    no_core_dumps()
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(requests, replies)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    try:
        header, _ = _receive(requests)
        opened, build_ns = _open(header)
        served = _served(opened)
        _send(replies, {"versions": dict(opened.versions), "build_ns": build_ns}, {})
        while True:
            header, arrays = _receive(requests)
            if header["request"] not in served:
                raise UsageError(f"there is no request '{header['request']}': ask for {', '.join(served)}")
            _send(replies, *served[header["request"]](header, arrays))
    except (EOFError, BrokenPipeError):
        raise
    except (BackendUnavailable, MissingDependencyError) as error:
        _send(replies, {"status": "unavailable", "error": str(error)}, {})
    except MemoryError as error:
        _send(replies, {"status": "crashed", "error": f"out of memory {error}".strip()}, {})
    except NormdeployError as error:
        _send(replies, {"status": "crashed", "error": str(error)}, {})
    except Exception as error:  # a runtime's refusal of the model or of the inputs, in its own words
        message = " ".join(str(error).split()) or "no message"
        _send(replies, {"status": "crashed", "error": f"{type(error).__name__}: {message}"}, {})


def _open(header: Mapping[str, Any]) -> tuple[Session | EngineBuilder, int]:
    """What the factory opens, and the nanoseconds that it took."""
    limit_memory(header["memory_limit"])
    module, function = header["factory"].split(":")
    factory: Factory = getattr(importlib.import_module(module), function)
    began = time.perf_counter_ns()
    opened = factory(Path(header["model"]), **header["options"])
    return opened, time.perf_counter_ns() - began


def _served(opened: Session | EngineBuilder) -> Mapping[str, Callable[..., Message]]:
    """The requests that it serves, by name; each takes the request's header and arrays."""
    if isinstance(opened, EngineBuilder):
        return {"build": lambda header, arrays: ({"description": opened.build()}, {})}
    measurement = Measurement(opened)
    return {
        "run": lambda header, arrays: ({}, opened.run(arrays)),
        "hold": lambda header, arrays: (measurement.hold(arrays), {}),
        "measure": lambda header, arrays: measurement.measure(header["seconds"], header["untimed"]),
        "layers": lambda header, arrays: (measurement.layers(header["runs"]), {}),
    }


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes to ourselves, and leave /dev/null and standard error in their places."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb", buffering=0), os.fdopen(replies, "wb", buffering=0)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, whatever it is doing then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, Array]]:
    def fill(view: memoryview) -> None:
        while view.nbytes:
            count = os.readv(stream.fileno(), [view])
            if count == 0:
                raise EOFError
            view = view[count:]

    return decode(fill)


def _send(stream: BinaryIO, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    for part in encode(header, arrays):
        while part.nbytes:
            part = part[os.write(stream.fileno(), part) :]


if __name__ == "__main__":
    main()
