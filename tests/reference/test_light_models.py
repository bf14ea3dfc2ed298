"""The nine classic networks with random weights, against onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from models.light import NAMES, light_model
from normdeploy.reference import Evaluator

# float32 through up to a hundred layers: a few hundred rounding errors (6e-8) of the largest value.
TOLERANCE = 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_intermediates_agree_with_onnxruntime(name):
    model = light_model(name)
    parameters = {tensor.name for tensor in model.graph.initializer}
    (image,) = (value.name for value in model.graph.input if value.name not in parameters)
    feeds = {image: np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)}
    names = [model.graph.output[0].name, model.graph.node[len(model.graph.node) // 2].output[0]]
    actual = Evaluator(model).run(feeds, names)

    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(names[1]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that initializers are inputs
    expected = onnxruntime.InferenceSession(model.SerializeToString(), options).run(names, feeds)
    for tensor, value in zip(actual.values(), expected, strict=True):
        assert tensor.dtype == np.float64
        assert tensor.shape == value.shape
        scale = np.abs(value).max()
        assert value.std() > 1e-4 * scale  # neither vanished nor saturated, so that errors show
        np.testing.assert_allclose(tensor, value, rtol=0, atol=TOLERANCE * scale)


def test_seeds_make_weights():
    first, again, other = (light_model("squeezenet", seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
