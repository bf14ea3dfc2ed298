"""Session factories for worker processes: one that works, and others that fail in every way there is."""

import ctypes
import os
import signal
import sys
import time

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
    return _when_run(lambda: time.sleep(1000))


def hangs_on_load(model):
    time.sleep(1000)


def hangs_with_a_child(model):
    """Starts a process of its own, says its id, and hangs."""
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    sys.stderr.write(f"child {child.pid}\n")
    sys.stderr.flush()
    time.sleep(1000)


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
    from pathlib import Path

    from normdeploy.backends.tensorrt.libraries import LIBRARIES
    from normdeploy.backends.tensorrt.model import ParsedModel

    rtx = replace(LIBRARIES["tensorrt-rtx"], takes_plugins=True)
    return ParsedModel(rtx, rtx.load(), model, [Path(plugin) for plugin in plugins])
