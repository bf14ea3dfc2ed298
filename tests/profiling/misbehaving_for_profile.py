"""Sessions for `profile` that fail, tell phases, or have no profiler."""

import os
import time
from contextlib import contextmanager

import numpy as np

from normdeploy.backends.session import LayerTime


class Doubling:
    """Takes a while, and has no profiler of its own."""

    versions = {"doubling": "1.0"}  # noqa: RUF012

    def run(self, inputs):
        return {"y": np.concatenate([array.reshape(-1) * 2 for array in inputs.values()])}


class FakeDevice:
    """It takes as much again at each turn, and moves 1 MB/s."""

    peak_memory_bytes = 0

    @contextmanager
    def at_work(self):
        yield
        self.peak_memory_bytes += 2**20

    def copy_bandwidth(self):
        return 1e6


class Phased(Doubling):
    """As on a device, with a profiler that tells names only."""

    cuda_graph = False
    cuda_graph_refusal = "it waits for data"
    device = FakeDevice()

    def layer_times(self, inputs):
        return [LayerTime("conv", "", (), (), 3.0), LayerTime("lrn", "", (), (), 1.0)]

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
    """Works a few times, fewer than a profile's rounds, and then ends its process."""

    class Dying(Doubling):
        left = 6

        def run(self, inputs):
            self.left -= 1
            if self.left == 0:
                os.abort()
            return {}

    return Dying()
