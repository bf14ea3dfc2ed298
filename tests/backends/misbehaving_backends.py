"""Factories for worker processes: one that works, and others that fail in every way there is."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from normdeploy.errors import BackendUnavailable, MissingDependencyError, ModelError


class Echo:
    """Gives its inputs back."""

    def __init__(self):
        self.versions = {"echo": "1.0"}

    def run(self, inputs):
        return inputs


def echo(model):
    return Echo()


def noisy(model):
    """Prints to both streams, through Python and past it, before and while it works."""

    class Noisy(Echo):
        def run(self, inputs):
            print("noise from print", flush=True)
            os.write(1, b"noise from native code\n" * 20000)
            os.write(2, b"\x1b[31mred noise\x1b[0m\n")
            return inputs

    os.write(1, b"\x00\x01\x02 banner")
    return Noisy()


def aborts_on_load(model):
    os.write(2, b"terminate called after throwing an instance of 'std::logic_error'\n")
    os.abort()


def _when_run(action):
    class Session(Echo):
        def run(self, inputs):
            action()
            return inputs

    return Session()


def aborts(model):
    return _when_run(os.abort)


def segfaults(model):
    return _when_run(lambda: ctypes.string_at(0))


def is_killed(model):
    return _when_run(lambda: os.kill(os.getpid(), signal.SIGKILL))


def exits(model):
    return _when_run(lambda: os._exit(7))


def hangs(model):
    return _when_run(signal.pause)


def hangs_on_load(model):
    signal.pause()


_CHILD = """
import signal, sys
held = open(sys.argv[1], "wb")
print("ready", flush=True)
signal.pause()
"""


def hangs_with_a_child(model):
    """Has a process of its own, which holds a pipe (the model's path) open; hangs when it is run."""
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(model)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return _when_run(signal.pause)


def fills_its_log(model):
    """Writes more to standard error than a pipe holds, and then its last words."""

    def talk():
        os.write(2, b"chatter\n" * 100_000)
        os.write(2, b"last words\n\n")
        os._exit(1)

    return _when_run(talk)


def closes_its_pipes(model):
    """Ends the conversation but not the process."""

    def close():
        os.closerange(3, 64)
        os.close(2)
        signal.pause()

    return _when_run(close)


def eats_memory(model):
    def eat():
        hoard = []
        while True:
            hoard.append(bytearray(2**24))

    return _when_run(eat)


def raises(model):
    def fail():
        raise ValueError("two\nlines")

    return _when_run(fail)


def is_unavailable(model):
    raise BackendUnavailable("no GPU was found: install one")


def is_not_installed(model):
    raise MissingDependencyError("some-runtime", "some")


def refuses_the_model(model):
    raise ModelError("the parser refuses node 'lrn'")


def has_no_memory(model):
    raise MemoryError("for the weights")


def builds(model):
    """Builds engines, and runs nothing."""

    class Builder:
        versions = {"builder": "2.0"}  # noqa: RUF012

        def build(self):
            return {"layers": ["lrn"], "plugins": []}

    return Builder()


def dies_building(model, engine, **options):
    """Writes half of an engine, and ends as std::terminate does."""

    class Builder:
        versions = {"builder": "2.0"}  # noqa: RUF012

        def build(self):
            Path(engine).write_bytes(b"half of it")
            os.write(2, b"terminate called\n")
            os.abort()

    return Builder()


def answers_garbage(model):
    """Writes to the reply pipe itself, as a stray native write would."""

    def scribble():
        for descriptor in range(3, 10):
            try:
                os.write(descriptor, b"\xff" * 64)
            except OSError:
                continue

    return _when_run(scribble)


def rtx_with_plugins(model, plugins):
    """Parses with plugins in TensorRT-RTX's registry, at which its parser ends the process."""
    from dataclasses import replace

    from normdeploy.backends.tensorrt.libraries import LIBRARIES
    from normdeploy.backends.tensorrt.model import ParsedModel

    rtx = replace(LIBRARIES["tensorrt-rtx"], takes_plugins=True)
    return ParsedModel(rtx, rtx.load(), model, [Path(plugin) for plugin in plugins])
