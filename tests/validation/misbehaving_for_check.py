"""Backends for the model x -> y that fail or answer nonsense."""

import os
import signal

import numpy as np

from normdeploy.backends import catalog


class Impatient(catalog.Backend):
    """Has a second to load the model and to answer, whatever the others have."""

    def start(self, model, timeout):
        return super().start(model, 1.0)


def misbehaving(name):
    """The backend of one of the functions below; only the one that hangs is short of time."""
    kind = Impatient if name == "hangs" else catalog.Backend
    return kind(name, f"tests.validation.misbehaving_for_check:{name}")


class _Session:
    def __init__(self, answer):
        self.versions = {}
        self.run = lambda inputs: answer(inputs["x"])


def aborts(model):
    return _Session(lambda x: os.abort())


def hangs(model):
    return _Session(lambda x: signal.pause())


def gives_another_shape(model):
    return _Session(lambda x: {"y": x[:, :-1]})


def gives_no_outputs(model):
    return _Session(lambda x: {})


def gives_integers(model):
    return _Session(lambda x: {"y": x.astype(np.int32)})


def leaves_a_row_unwritten(model):
    return _Session(lambda x: {"y": x * (np.arange(x.shape[1]) > 0).astype(x.dtype)})
