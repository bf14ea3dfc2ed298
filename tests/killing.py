"""Programs that are killed at each of their calls that change files, in turn."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("killed_at_a_call.c")
_MOST_CALLS = 500

_FORKS = """
import ctypes, os, sys, {module}
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).kill_at(ctypes.c_long(int(line)))
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
exec({code!r})
"""
"""Reads numbers of calls, runs the program in a process of its own for each, and prints how that ended."""


@functools.cache
def _library() -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="killing-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / "killed_at_a_call.so"
    subprocess.run([compiler, "-Wall", "-shared", "-fPIC", _SOURCE, "-o", library, "-ldl"], check=True)
    return library


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a Python program."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def killed_at_each_call(code: str, *arguments: object, module: str = "normdeploy.files") -> Iterator[int]:
    """Run a program killed at its first call, its second, ... until it comes to its end.

    Args:
        code: of the program.
        arguments: of its command line.
        module: what it imports before: once, in the process from which every run is forked.
    """
    command = [sys.executable, "-c", _FORKS.format(module=module, code=code), *map(str, arguments)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LD_PRELOAD": str(_library())}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forking:
        assert forking.stdin is not None
        assert forking.stdout is not None
        for call in range(1, _MOST_CALLS):
            print(call, file=forking.stdin, flush=True)
            code_of_exit = int(forking.stdout.readline())
            if code_of_exit == 0:
                return
            assert code_of_exit == -signal.SIGKILL
            yield call
    raise AssertionError(f"the program makes more than {_MOST_CALLS} calls")
