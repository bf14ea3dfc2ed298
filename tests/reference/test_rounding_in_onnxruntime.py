"""Random errors of single operators: whether the arithmetic of onnxruntime stays inside."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.reference import Evaluator, registry
from normdeploy.validation.judge import Judge
from tests.reference.against_onnxruntime import in_onnxruntime
from tests.reference.one_operator import one, typed

U = 2.0**-24


def run(proto, x):
    return in_onnxruntime(proto, {"x": x})["y"]


DOMAINS = {"Acosh": (1, 20), "Log": (1e-6, 20), "Asin": (-1, 1), "Acos": (-1, 1), "Atanh": (-0.99, 0.99)}
FUNCTIONS = (
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp",
    "Gelu", "HardSigmoid", "HardSwish", "Log", "Mish", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus",
    "Softsign", "Tan", "Tanh",
)  # fmt: skip


def error_of(op_type):
    """The largest error of onnxruntime's function, in standard deviations of the model."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(size=2000) * scale for scale in (1e-2, 1, 5)])
    if op_type in DOMAINS:
        x = random.uniform(*DOMAINS[op_type], size=6000)
    x = x.astype(np.float32)
    proto = one(op_type, x)
    proto.ir_version = 10
    exact = Evaluator(proto).run({"x": x})["y"]
    (found,) = registry.lookup(op_type, "", 21).rounding.results({}, [x.astype(np.float64)], [exact])
    deviation = U * ((1 + found.relative) * np.abs(exact) + found.absolute) + 2.0**-126
    return np.max(np.abs(run(proto, x) - exact) / deviation)


def test_functions_of_onnxruntime_err_by_about_the_ulps_allowed():
    errors = {op_type: error_of(op_type) for op_type in FUNCTIONS}
    assert max(errors.values()) < 2, errors
    assert max(errors.values()) > 0.3, errors  # a tenth of the ulps would not do


def cases():
    random = np.random.default_rng(1)
    slopes = random.normal(size=(16, 1, 1)).astype(np.float32)
    small, other = (random.normal(size=(2, 16, 15, 17)).astype(np.float32) for _ in range(2))
    angles = random.uniform(0, 7, size=(1, 20, 16))
    turned = random.normal(size=(1, 4, 20, 32)).astype(np.float32)
    for op_type in ("Elu", "Celu", "Selu", "HardSwish", "LeakyRelu"):
        yield pytest.param(one(op_type, small), id=op_type)
    yield pytest.param(one("PRelu", small, weights=[slopes]), id="PRelu")
    yield pytest.param(one("Sum", small, weights=[other, -other]), id="Sum")
    yield pytest.param(one("Mean", small, weights=[other, -other]), id="Mean")
    yield pytest.param(one("GlobalLpPool", small), id="GlobalLpPool")
    yield pytest.param(one("LpPool", small, kernel_shape=[5, 5]), id="LpPool")
    rotation = [function(angles).astype(np.float32) for function in (np.cos, np.sin)]
    yield pytest.param(one("RotaryEmbedding", turned, 23, rotation), id="RotaryEmbedding")


@pytest.mark.parametrize("plain", [False, True], ids=["noise", "plain"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0])
@pytest.mark.parametrize("proto", list(cases()))
def test_right_runs_of_one_operator_pass(proto, scale, plain):
    """Operators that had the wrong class once: their rounding was called an error."""
    proto.ir_version = 10
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    for seed in range(3):
        x = (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)
        if plain:
            x[...] = np.abs(x).flat[0]
        ours = typed(proto)
        found = Judge(ours, ours).on({"x": x}).compare("y", run(proto, x))
        assert found.wrong == 0, found
        assert found.expected_rounding < 1e-4 * np.abs(ours.run({"x": x})["y"]).max() + 4e-6


def test_a_map_that_is_wrong_is_caught():
    """The room for rounding of a pool over 255 equal numbers is far below a per mille."""
    x = np.ones((2, 16, 15, 17), np.float32)
    proto = one("GlobalLpPool", x)
    ours, actual = typed(proto), run(proto, x)
    judge = Judge(ours, ours).on({"x": x})
    assert judge.compare("y", actual).wrong == 0
    assert judge.compare("y", actual * np.float32(1.0005)).wrong == actual.size
