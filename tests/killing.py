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


def run(code: str, *arguments: object, kill_at: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a Python program, and kill it at a call."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LD_PRELOAD": str(_library())}
    if kill_at is not None:
        environment["KILL_AT"] = str(kill_at)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def killed_at_each_call(code: str, *arguments: object) -> Iterator[int]:
    """Run a program killed at its first call, its second, ... until it comes to its end."""
    for kill_at in range(1, _MOST_CALLS):
        done = run(code, *arguments, kill_at=kill_at)
        if done.returncode == 0:
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
        yield kill_at
    raise AssertionError(f"the program makes more than {_MOST_CALLS} calls")
