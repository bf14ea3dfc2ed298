"""The command line in a process of its own, with a backend that hangs, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 1200.0
"""Seconds after which a machine is taken to hang; nothing waits for so long where all is well."""

_CODE = """
import sys
{preparation}
from normdeploy.cli import main
sys.exit(main(sys.argv[1:]))
"""


def interrupted(
    arguments: list[str], model: Path, scratch: Path, kind: signal.Signals, preparation: str
) -> tuple[int, str]:
    """Run a command line, send it a signal while its worker hangs, and wait until both have ended.

    Args:
        arguments: of the command line.
        model: what the worker hangs on, having said its process id as `hanging_worker` expects.
        scratch: the folder for temporary files.
        kind: the signal.
        preparation: Python code to run before, which puts the worker that hangs in its place.

    Returns:
        The exit code as subprocess has it, and what was written to standard error.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE.format(preparation=preparation), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        text=True,
        start_new_session=True,
    )
    try:
        worker = hanging_worker(model)
        process.send_signal(kind)
        _, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    return process.returncode, err


def say_that_it_hangs(model: str | os.PathLike[str]) -> None:
    """In a worker: write its process id into a file beside the model."""
    part = Path(model).with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.replace(Path(model).with_suffix(".pid"))


def hanging_worker(model: Path) -> int:
    """The id of the process that hangs on a model."""
    file = model.with_suffix(".pid")
    wait_for(file.is_file)
    return int(file.read_text())


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
