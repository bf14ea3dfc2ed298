"""A worker process as its parent sees it: starting it, asking it, and surviving whatever it does."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from normdeploy.backends.protocol import ProtocolError, decode, encode
from normdeploy.budget import clock_stopped
from normdeploy.dtypes import Array
from normdeploy.errors import BackendCrashed, BackendFailure, BackendTimeout, BackendUnavailable
from normdeploy.files import scratch_folder
from normdeploy.signals import undisturbed

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_LOG_BYTES = 16384
_LOG_LINES = 5
_GRACE_SECONDS = 5.0
_CHUNK_BYTES = 65536
_LONGEST_WAIT = 3600.0
"""Seconds between two looks at the time limit; the system takes none that are infinite, or above 2^31 ms."""

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class WorkerSession:
    """A model in a worker process, which begins to load it at once.

    Use it as a context manager: leaving it ends the process, and removes the folder that it has for its
    temporary files.

    Args:
        factory: a `Factory` as `module:function`.
        model: the ONNX file.
        timeout: seconds that loading the model, and each request, may take.
        options: the factory's further arguments, of types that JSON has.
        memory_limit: bytes of memory that the process may allocate; by default the machine's.

    Attributes:
        timeout: as given; may be changed between requests.
        versions: the runtime's name and version, and those of the libraries that decide its results; empty
            before `ready`.
        build_ns: nanoseconds that loading the model took; 0 before `ready`.
    """

    def __init__(
        self,
        factory: str,
        model: Path,
        timeout: float,
        options: Mapping[str, Any] | None = None,
        memory_limit: float | None = None,
    ) -> None:
        self.versions: Mapping[str, str] = {}
        self.build_ns = 0
        self.timeout = timeout
        self._log = bytearray()
        self._resources = ExitStack()
        request = {
            "factory": factory,
            "model": str(model.resolve()),
            "memory_limit": memory_limit,
            "options": dict(options or {}),
        }
        self._deadline = time.monotonic() + timeout
        self._doing = "loading the model"
        try:
            with undisturbed():
                self._process = _started(self._resources.enter_context(scratch_folder()))
                self._resources.callback(_end, self._process)
            self._send(request, {})
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> WorkerSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            BackendUnavailable: the runtime cannot work on this machine.
            BackendCrashed: its process ended, or the runtime refused the model.
            BackendTimeout: it took longer than the time limit.
        """
        self._deadline = time.monotonic() + self.timeout
        with clock_stopped():
            header, _ = self._receive()
        self.versions = header["versions"]
        self.build_ns = int(header["build_ns"])

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model on one set of inputs.

        Returns:
            All outputs of the model.

        Raises:
            BackendUnavailable, BackendCrashed, BackendTimeout: see `ask`.
        """
        _, outputs = self.ask({"request": "run"}, inputs, "running the model")
        return outputs

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Array], doing: str, seconds: float = 0.0
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Make a request, of those that `normdeploy.backends.worker` lists.

        Args:
            header: the request.
            arrays: what it carries.
            doing: what is done, for the message of a failure: "running the model".
            seconds: how long it takes by intention; this adds to the time limit.

        Returns:
            The header and the arrays of the answer.

        Raises:
            BackendUnavailable: the runtime finds only now that it cannot work on this machine.
            BackendCrashed: the process ended, or the runtime refused the inputs.
            BackendTimeout: it took longer than the time limit.
            In each case the process has ended.
        """
        self._deadline = time.monotonic() + self.timeout + seconds
        self._doing = doing
        with clock_stopped():
            self._send(header, arrays)
            return self._receive()

    def close(self) -> None:
        """Let the process end by itself, and kill it if it does not within a few seconds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the process and every process that it started, close the pipes, remove temporary files."""
        with undisturbed():
            self._resources.close()

    def _send(self, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        for part in encode(header, arrays):
            while part.nbytes:
                try:
                    part = part[self._transfer(pipe, selectors.EVENT_WRITE, _writer(pipe, part)) :]
                except BrokenPipeError:
                    return  # it has ended or has answered already: its last words are read next

    def _receive(self) -> tuple[dict[str, Any], dict[str, Array]]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()

        def fill(view: memoryview) -> None:
            while view.nbytes:
                count = self._transfer(pipe, selectors.EVENT_READ, _reader(pipe, view))
                if count == 0:
                    raise EOFError
                view = view[count:]

        try:
            header, arrays = decode(fill)
        except EOFError:
            raise self._died() from None
        except (ProtocolError, MemoryError) as error:
            raise self._failure(BackendCrashed, f"it sent an unreadable reply: {error}") from error
        if "error" in header:
            kind = BackendUnavailable if header.get("status") == "unavailable" else BackendCrashed
            raise self._failure(kind, str(header["error"]))
        return header, arrays

    def _transfer(self, pipe: int, event: int, attempt: Callable[[], int]) -> int:
        """Wait until a pipe is ready, reading the worker's log meanwhile, and move bytes through it.

        Args:
            pipe: its file descriptor.
            event: of `selectors`: whether it is read or written.
            attempt: reads or writes, and gives the number of bytes.

        Returns:
            That number; 0 is the end of a pipe.
        """
        assert self._process.stderr is not None
        log = self._process.stderr.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            selector.register(log, selectors.EVENT_READ)
            while True:
                remaining = self._deadline - time.monotonic()
                if remaining <= 0:
                    raise self._failure(
                        BackendTimeout,
                        f"{self._doing} took longer than the time limit of {self.timeout:g} s",
                    )
                ready = {key.fd for key, _ in selector.select(min(remaining, _LONGEST_WAIT))}
                if log in ready and not self._drain_log():
                    selector.unregister(log)
                if pipe in ready:
                    with contextlib.suppress(BlockingIOError):
                        return attempt()

    def _drain_log(self) -> bool:
        """Take what the worker has logged by now; False at the log's end."""
        assert self._process.stderr is not None
        try:
            chunk = os.read(self._process.stderr.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._log += chunk
        del self._log[:-_LOG_BYTES]
        return bool(chunk)

    def _died(self) -> BackendFailure:
        """The failure of a worker that has closed its pipe: how its process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        code = self._process.poll()
        if code is None:
            return self._failure(BackendCrashed, f"it stopped answering while {self._doing}")
        if code >= 0:
            return self._failure(BackendCrashed, f"its process exited with status {code} while {self._doing}")
        name = _signal_name(-code)
        cause = ", most likely for want of memory" if name == "SIGKILL" else ""
        return self._failure(BackendCrashed, f"its process was ended by {name}{cause}, while {self._doing}")

    def _failure(self, kind: type[BackendFailure], reason: str) -> BackendFailure:
        """End the process, and give the exception to raise, with the last lines of the log."""
        with contextlib.suppress(ValueError):  # the log's pipe is closed
            before = -1
            while before != len(self._log) and self._drain_log():
                before = len(self._log)
        self.kill()
        text = _TERMINAL_CODES.sub("", self._log.decode(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return kind(reason, lines[-_LOG_LINES:])


def _started(scratch: Path) -> subprocess.Popen[bytes]:
    """A worker that waits for its first request; `scratch` is its folder for temporary files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "normdeploy.backends.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=_PACKAGE_PARENT,  # where -m adds to the search path nothing that is not ours
        env={**_environment(), "TMPDIR": str(scratch)},
        start_new_session=True,  # Ctrl-C reaches this process only, which then ends the other
    )
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _writer(pipe: int, part: memoryview) -> Callable[[], int]:
    return lambda: os.write(pipe, part[:_CHUNK_BYTES])


def _reader(pipe: int, view: memoryview) -> Callable[[], int]:
    return lambda: os.readv(pipe, [view])


def _environment() -> dict[str, str]:
    """This process's environment, with its module search path, so that the worker imports the same."""
    entries = [str(Path(entry).resolve()) for entry in sys.path if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entries)}
