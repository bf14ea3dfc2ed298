"""Means of nothing are NaN, without a word on the terminal."""

import numpy as np
import onnx
import pytest

import normdeploy as nd
from normdeploy.reference.moments import mean, variance

EMPTY = [
    ("GlobalAveragePool (x)", (1, 2, 0, 3)),
    ("ReduceMean <axes = [2, 3]> (x)", (1, 2, 0, 3)),
    ("ReduceMean <keepdims = 0> (x)", (1, 2, 0, 3)),
    ("InstanceNormalization (x, two, two)", (1, 2, 0, 3)),
    ("MeanVarianceNormalization (x)", (0, 2, 1, 3)),
    ("LayerNormalization <axis = 2> (x, none)", (1, 2, 0, 3)),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("call", "shape"), EMPTY, ids=[call.split(" ")[0] for call, _ in EMPTY])
def test_nothing_to_average(call, shape):
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    g (float[A, 2, H, 3] x, float[2] two, float[0, 3] none) => (float y) {{ y = {call} }}"""
    inputs = {"x": np.zeros(shape, np.float32), "two": np.ones(2, np.float32), "none": np.ones((0, 3), "f4")}
    (y,) = nd.evaluate(onnx.parser.parse_model(text), inputs).values()
    assert np.isnan(y).all()


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_they_are_numpys(axes):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    assert np.array_equal(mean(x, axes), x.mean(axis=axes, keepdims=True))
    assert np.array_equal(variance(x, axes), x.var(axis=axes, keepdims=True))
    assert mean(x, None, keepdims=False) == x.mean()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_nothing(dtype):
    x = np.zeros((2, 0, 3), dtype)
    for found in (mean(x, (1,)), variance(x, (1,))):
        assert found.dtype == dtype
        assert found.shape == (2, 1, 3)
        assert np.isnan(found).all()
    assert mean(x, (0,)).shape == (1, 0, 3)
