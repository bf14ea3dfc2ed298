"""Backends for the model x -> y that fail or answer nonsense."""

import os
import time

import numpy as np


class _Session:
    def __init__(self, answer):
        self.versions = {}
        self.run = lambda inputs: answer(inputs["x"])


def aborts(model):
    return _Session(lambda x: os.abort())


def hangs(model):
    return _Session(lambda x: time.sleep(1000))


def gives_another_shape(model):
    return _Session(lambda x: {"y": x[:, :-1]})


def gives_no_outputs(model):
    return _Session(lambda x: {})


def gives_integers(model):
    return _Session(lambda x: {"y": x.astype(np.int32)})


def leaves_a_row_unwritten(model):
    return _Session(lambda x: {"y": x * (np.arange(x.shape[1]) > 0).astype(x.dtype)})
