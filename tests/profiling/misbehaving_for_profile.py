"""Sessions for `profile` that fail, tell phases, or have no profiler."""

import os
import time

import numpy as np


class Doubling:
    """Takes a while, and has no profiler of its own."""

    versions = {"doubling": "1.0"}  # noqa: RUF012

    def run(self, inputs):
        return {"y": np.concatenate([array.reshape(-1) * 2 for array in inputs.values()])}


class Phased(Doubling):
    """As on a device."""

    def run_phases(self, inputs):
        return 1.0, 5.0, 0.5


class Sleeping(Doubling):
    """Slow enough to have few runs."""

    def run(self, inputs):
        time.sleep(0.02)
        return {}


def doubling(model):
    return Doubling()


def phased(model):
    return Phased()


def sleeping(model):
    return Sleeping()


def dies_later(model):
    """Works a few times, and then ends its process."""

    class Dying(Doubling):
        left = 50

        def run(self, inputs):
            self.left -= 1
            if self.left == 0:
                os.abort()
            return {}

    return Dying()
