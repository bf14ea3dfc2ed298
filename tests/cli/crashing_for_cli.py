"""Backends that crash and hang."""

import os
import time

from tests.cli.processes import say_that_it_hangs


def aborts(model):
    os.write(2, b"the last words\n")
    os.abort()


def hangs(model):
    """While it loads the model."""
    say_that_it_hangs(model)
    time.sleep(1000)


def hangs_running(model):
    """While it runs the model."""

    class Hanging:
        versions = {"hanging": "1.0"}  # noqa: RUF012

        def run(self, inputs):
            hangs(model)

    return Hanging()
