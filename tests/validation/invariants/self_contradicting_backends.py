"""onnxruntime with planted defects that no run by itself shows: each is wrong in what it makes of other rows,
other shapes, earlier runs or further outputs. Their model's input is x, its first axis counts rows."""

import os

import numpy as np

from normdeploy.backends.catalog import Backend
from normdeploy.backends.onnxruntime import open_cpu


def planted(name):
    """The backend of one of the functions below."""
    return Backend(name, f"tests.validation.invariants.self_contradicting_backends:{name}")


class Planted:
    """Changes onnxruntime's answers: `change` is given them and the inputs, and may keep things in `self`."""

    def __init__(self, path, change):
        self._session = open_cpu(path)
        self.versions = {"planted": "1.0"}
        self.before = None
        self._change = change

    def run(self, inputs):
        outputs = {name: np.array(array) for name, array in self._session.run(inputs).items()}
        self._change(self, inputs["x"], outputs)
        return outputs


def right(path):
    return Planted(path, lambda self, x, outputs: None)


def wrong_from_the_second_row_on(path):
    """As a kernel whose stride over the batch is wrong."""

    def change(self, x, outputs):
        outputs["y"][1:] *= 1.001

    return Planted(path, change)


def depends_on_the_order(path):
    """Each row takes a little of what the row before it has more: nothing among equal ones."""

    def change(self, x, outputs):
        y = outputs["y"]
        y[1:] += 1e-3 * (y[:-1] - y[1:])

    return Planted(path, change)


def wrong_in_batches(path):
    """As a kernel for batches that is wrong in every row."""

    def change(self, x, outputs):
        if len(x) > 1:
            outputs["y"] *= 1.001

    return Planted(path, change)


def wrong_in_batches_of_two(path):
    def change(self, x, outputs):
        if len(x) == 2:
            outputs["y"][0, 0] = 0

    return Planted(path, change)


def answers_one_row(path):
    """As an engine that was built for one row."""

    def change(self, x, outputs):
        outputs["y"] = outputs["y"][:1]

    return Planted(path, change)


def refuses_batches(path):
    def change(self, x, outputs):
        if len(x) > 1:
            raise ValueError("one row only")

    return Planted(path, change)


def keeps_what_it_computed_before(path):
    """As a buffer that is added to and not cleared."""

    def change(self, x, outputs):
        y = outputs["y"]
        if self.before is not None and self.before.shape == y.shape:
            y += 1e-3 * self.before
        self.before = y.copy()

    return Planted(path, change)


def is_late(path):
    """Gives the answer to the inputs before, from the second run of a shape on."""

    def change(self, x, outputs):
        y = outputs["y"]
        if self.before is not None and self.before.shape == y.shape:
            outputs["y"] = self.before
        self.before = y

    return Planted(path, change)


def spoilt_by_another_shape(path):
    """As an arena that was sized for another shape: what comes after it is wrong in its last row."""

    def change(self, x, outputs):
        shape = x.shape
        if self.before is not None and self.before != shape:
            outputs["y"][-1] = 0
        self.before = shape

    return Planted(path, change)


def never_the_same(path):
    """Nondeterministic far beyond rounding, from the second run on."""

    def change(self, x, outputs):
        self.before = 0 if self.before is None else self.before + 1
        outputs["y"] += 1e-2 * self.before * np.abs(outputs["y"]).max()

    return Planted(path, change)


def rounds_otherwise_each_time(path):
    """Nondeterministic within rounding, as sums by atomic additions are."""

    def change(self, x, outputs):
        y = outputs["y"]
        self.before = -1 if self.before == 1 else 1
        outputs["y"] = np.nextafter(y, y + np.float32(self.before), dtype=y.dtype)

    return Planted(path, change)


def wrong_at_odd_sizes(path):
    """As a vectorized kernel that forgets the last column where the width is odd."""

    def change(self, x, outputs):
        if x.shape[-1] % 2:
            outputs["y"][..., -1] = 0

    return Planted(path, change)


def wrong_at_small_sizes(path):
    def change(self, x, outputs):
        if x.shape[-1] < 4:
            outputs["y"] *= 1.01

    return Planted(path, change)


def aborts_at_odd_sizes(path):
    def change(self, x, outputs):
        if x.shape[-1] % 2:
            os.abort()

    return Planted(path, change)


def wrong_with_further_outputs(path):
    def change(self, x, outputs):
        if len(outputs) > 1:
            outputs["y"] *= 1.001

    return Planted(path, change)


def refuses_further_outputs(path):
    def change(self, x, outputs):
        if len(outputs) > 1:
            raise ValueError("one output only")

    return Planted(path, change)
