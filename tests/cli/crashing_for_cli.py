"""Backends that crash and hang."""

import os
import signal
import tempfile

from tests.cli.processes import say_that_it_hangs


def aborts(model):
    os.write(2, b"the last words\n")
    os.abort()


def hangs(model):
    """While it loads the model, with a temporary file open, as onnxruntime has one."""
    tempfile.mkstemp()
    say_that_it_hangs(model)
    signal.pause()


def hangs_running(model):
    """While it runs the model."""

    class Hanging:
        versions = {"hanging": "1.0"}  # noqa: RUF012

        def run(self, inputs):
            hangs(model)

    return Hanging()


MARKED = "NORMDEPLOY_TEST_MARKED"
"""The variable that names what `hangs_on_a_part` says its process id beside: a part is in no known place."""


def hangs_on_a_part(model):
    """A backend whose numbers are wrong, so that parts of the model are run, on which it hangs."""
    from normdeploy.backends.onnxruntime import open_cpu

    if model.name == "submodel.onnx":
        hangs(os.environ[MARKED])
    session = open_cpu(model)

    class Wrong:
        versions = session.versions

        def run(self, inputs):
            return {name: array + 1 for name, array in session.run(inputs).items()}

    return Wrong()


def hangs_in_layers(model):
    """When it is asked for the layers' times."""
    from normdeploy.backends.onnxruntime import open_cpu

    session = open_cpu(model)

    class Hanging:
        versions = session.versions

        def run(self, inputs):
            return session.run(inputs)

        def layer_times(self, inputs):
            hangs(model)

    return Hanging()
