"""Compilers for worker processes that fail: session factories with the arguments of `open_compiler`."""

import os
from pathlib import Path

from tests.cli import crashing_for_cli


def aborts(model, engine, **options):
    """Writes half of an engine, and ends as std::terminate does."""
    Path(engine).write_bytes(b"half of it")
    os.write(2, b"terminate called without an active exception\n")
    os.abort()


def hangs(model, engine, **options):
    """Writes half of an engine, and goes on for ever."""
    Path(engine).write_bytes(b"half of it")
    crashing_for_cli.hangs(model)
