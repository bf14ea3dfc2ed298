"""Compilers for worker processes that fail: session factories with the arguments of `open_compiler`."""

import os
import time
from pathlib import Path


def aborts(model, engine, **options):
    """Writes half of an engine, and ends as std::terminate does."""
    Path(engine).write_bytes(b"half of it")
    os.write(2, b"terminate called without an active exception\n")
    os.abort()


def hangs(model, engine, **options):
    """Says its process id in a file beside the engine."""
    Path(engine).write_bytes(b"half of it")
    Path(engine).with_name("pid").write_text(str(os.getpid()))
    time.sleep(1000)
