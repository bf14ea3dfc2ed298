"""Takes one model file through the whole of normdeploy in a process of its own, and says how that ended.

`python -m tests.fuzz.runner FILE ...` does so for files.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from normdeploy.budget import spending
from normdeploy.errors import NormdeployError
from normdeploy.graph.io import load
from normdeploy.inputs.declared import declared_inputs
from normdeploy.inputs.samples import open_samples
from normdeploy.inspection import inspect
from normdeploy.passes import optimize
from normdeploy.reference import Evaluator
from normdeploy.results import Result
from normdeploy.validation import check

SECONDS = 60
"""Of a processor's time that one mutant may take; most take a hundredth of one."""

IDLE = 600.0
"""Seconds in which a process has to get some of a processor's time: it hangs where it does not. However busy
the machine is, it gets some."""

_BUDGET = 4.0
_BUDGET_BYTES = 2**29
"""Seconds and bytes that each step is told to keep to, so that a loop without an end is a refusal."""

MEMORY = 2**30
"""Bytes that its process may allocate on top of what this one has."""

_CHARACTERS = 4000
"""Of a traceback that are kept."""


@dataclass(frozen=True)
class End:
    """How one model ended.

    Args:
        kind: "result", "refused", or what is odd: "exception", "timeout", "killed", "text".
        detail: for a refusal its class, else what happened.
    """

    kind: str
    detail: str

    @property
    def odd(self) -> bool:
        """Whether it is neither a result nor an error of normdeploy's own."""
        return self.kind not in ("result", "refused")


def run(path: Path, *, backend: bool = False, seconds: int = SECONDS) -> End:
    """How a model file ends in a forked process with limits on its memory and time.

    Args:
        path: of the file.
        backend: whether to check it in onnxruntime too, which takes a second process.
        seconds: of a processor's time that it may take.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _in_child(path, backend, writer, seconds)
    os.close(writer)
    try:
        return _outcome(pid, reader)
    finally:
        os.close(reader)


def _in_child(path: Path, backend: bool, writer: int, seconds: int) -> None:
    try:
        os.setpgid(0, 0)
        _limit(MEMORY, seconds)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            end = _exercise(path, backend)
        except BaseException:  # whatever it is, it is told
            end = End("exception", traceback.format_exc()[-_CHARACTERS:])
        os.write(writer, pickle.dumps(end))
    finally:
        os._exit(0)


def _limit(nbytes: int, seconds: int) -> None:
    used = 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData"):
            used = int(line.split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + nbytes, used + nbytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _outcome(pid: int, reader: int) -> End:
    hangs = _hangs(pid, reader)
    message = b""
    if not hangs:
        while chunk := os.read(reader, 65536):
            message += chunk
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # with the worker of a backend, if it has left one
    _, status = os.waitpid(pid, 0)
    if message:
        return pickle.loads(message)  # noqa: S301  # of our own process
    code = os.waitstatus_to_exitcode(status)
    if hangs:
        return End("timeout", f"computed nothing for {IDLE:g} s")
    if code == -signal.SIGXCPU:
        return End("timeout", "more than its share of a processor's time")
    return End("killed", f"signal {-code}" if code < 0 else f"exit code {code}")


def _hangs(pid: int, reader: int) -> bool:
    """Wait for a process to say something or to end; True where it computes nothing any more."""
    while True:
        before = _processor_time(pid)
        if select.select([reader], [], [], IDLE)[0]:
            return False
        if _processor_time(pid) == before:
            return True


def _processor_time(pid: int) -> int:
    """Clock ticks of a processor that a process has had."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def _exercise(path: Path, backend: bool) -> End:
    """Everything that reads a model; each step goes on from the file, whatever became of the one before."""
    refusals = [refusal for step in _steps(backend) if (refusal := _refusal(step, path)) is not None]
    if not refusals:
        return End("result", "")
    first = refusals[0]
    for refusal in refusals:
        if (problem := _bad_text(str(refusal))) or "defect of normdeploy" in str(refusal):
            return End("text", f"{problem}: {refusal!r}")
    return End("refused", type(first).__name__)


def _steps(backend: bool) -> list[Callable[[Path], None]]:
    return [_inspect, _optimize, _optimize_unverified, _evaluate, *([_check] if backend else [])]


def _refusal(step: Callable[[Path], None], path: Path) -> NormdeployError | None:
    try:
        step(path)
    except NormdeployError as error:
        return error
    return None


def _bad_text(text: str) -> str:
    """What is wrong with a message: it is to be one line."""
    return "no message" if not text.strip() else "a traceback" if "Traceback" in text else ""


def _shown(result: Result) -> None:
    json.dumps(result.to_json(), allow_nan=False)
    bad = [character for character in str(result) if not character.isprintable() and character not in "\n\t"]
    assert not bad, f"control characters in what is printed: {bad[:5]!r}"


def _inspect(path: Path) -> None:
    _shown(inspect(path, timeout=_BUDGET, max_memory=_BUDGET_BYTES))


def _optimize(path: Path) -> None:
    _shown(optimize(path, timeout=_BUDGET, max_memory=_BUDGET_BYTES))


def _optimize_unverified(path: Path) -> None:
    result = optimize(path, verify=False, timeout=_BUDGET, max_memory=_BUDGET_BYTES)
    _shown(result)
    with contextlib.suppress(NormdeployError):
        result.model.SerializeToString()


def _evaluate(path: Path) -> None:
    loaded = load(path)
    with spending(_BUDGET, _BUDGET_BYTES), open_samples(declared_inputs(loaded), None, 1, 0) as samples:
        for batch in samples.batches:
            Evaluator(loaded).run(batch.inputs)


def _check(path: Path) -> None:
    _shown(check(path, backends=["onnxruntime"], samples=1, timeout=_BUDGET, max_memory=_BUDGET_BYTES))


def main(arguments: list[str]) -> int:
    """Say how the given files end; the exit code is 1 if one ends oddly."""
    odd = False
    for name in arguments:
        end = run(Path(name), backend=True)
        odd |= end.odd
        print(f"{name}: {end.kind}: {end.detail}")
    return int(odd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
