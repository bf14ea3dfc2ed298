"""Terms in the order of their signs: partial sums grow far beyond the sum, and so does its error."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from normdeploy.graph.inference import infer
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.reference.rounding import RandomRounding
from normdeploy.reference.rounding_model import in_blocks
from normdeploy.validation.judge import Judge
from tests.builders import FLOAT, model
from tests.equivalence import run_in_onnxruntime

U = 2.0**-24


def signs(terms):
    """Ones, then as many minus ones."""
    return np.repeat([1.0, -1.0], terms // 2)


def one(op_type, shape, result, weights=(), **attributes):
    names = [f"w{index}" for index in range(len(weights))]
    node = helper.make_node(op_type, ["x", *names], ["y"], **attributes)
    stored = {name: np.asarray(array, np.float32) for name, array in zip(names, weights, strict=True)}
    return model([node], {"x": (FLOAT, shape)}, {"y": (FLOAT, result)}, stored, 17)


def evaluator(proto):
    graph = load(proto)
    infer(graph)
    return Evaluator(graph)


COLUMNS = np.repeat(signs(128)[:, None], 4, axis=1)
CASES = {
    "MatMul": (one("MatMul", (8, 128), (8, 4), [COLUMNS]), None),
    "Gemm": (one("Gemm", (8, 128), (8, 4), [COLUMNS, np.ones(4)]), None),
    "Gemm of columns": (one("Gemm", (128, 8), (8, 4), [COLUMNS], transA=1), None),
    "Conv of channels": (one("Conv", (2, 128, 4, 4), (2, 4, 4, 4), [COLUMNS.T.reshape(4, 128, 1, 1)]), None),
    "Conv of windows": (
        one("Conv", (2, 1, 20, 20), (2, 2, 9, 10), [np.tile(signs(132).reshape(1, 1, 12, 11), (2, 1, 1, 1))]),
        None,
    ),
    "Conv of groups": (
        one(
            "Conv", (2, 64, 4, 4), (2, 4, 2, 2),
            [np.tile(signs(288).reshape(1, 32, 3, 3), (4, 1, 1, 1))], group=2,
        ),
        None,
    ),
    "ReduceSum": (one("ReduceSum", (128, 6), (1, 1), keepdims=1), signs(128)[:, None]),
    "ReduceMean": (one("ReduceMean", (128, 6), (1, 6), axes=[0]), signs(128)[:, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_right_runs_of_onnxruntime_pass_and_errors_show(name):
    proto, of_input = CASES[name]
    ours = evaluator(proto)
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    for seed in range(6):
        x = 1000 + np.random.default_rng(seed).normal(size=shape)
        x = np.asarray(x if of_input is None else x * of_input, np.float32)
        (actual,) = run_in_onnxruntime(proto, {"x": x})
        judged = Judge(ours, ours).on({"x": x})
        assert judged.compare("y", actual).wrong == 0
        terms = 768 if name == "ReduceSum" else 128
        wrong = actual + np.float32(30 * U * 1000 * terms**1.5 / (terms if name == "ReduceMean" else 1))
        assert judged.compare("y", wrong).wrong == wrong.size


@pytest.mark.parametrize("terms", [64, 512])
def test_they_err_as_sums_in_order_do(terms):
    """The standard deviation that is drawn, against that of float32 sums."""
    x = ((1 + np.random.default_rng(terms).uniform(size=(1000, terms))) * signs(terms)).astype(np.float32)
    exact = x.astype(np.float64).sum(axis=1)
    error = np.add.accumulate(x, axis=1, dtype=np.float32)[:, -1] - exact
    proto = one("ReduceMean", x.shape, (1000,), axes=[1], keepdims=0)
    drawn = terms * evaluator(proto).run({"x": x}, rounding=RandomRounding(0))["y"] - exact
    assert 0.8 < drawn.std() / error.std() < 2


def test_blocks_are_runs_of_terms():
    assert in_blocks(2, {1: 128}) == (1, 32)
    assert in_blocks(4, {1: 32, 2: 3, 3: 3}) == (1, 8, 3, 3)
    assert in_blocks(4, {1: 1, 2: 12, 3: 11}) == (1, 1, 3, 11)
    assert in_blocks(4, {1: 3, 2: 4, 3: 5}) == (1, 1, 4, 5)
    assert in_blocks(2, {1: 47}) is None
    assert in_blocks(2, {1: 0}) is None
