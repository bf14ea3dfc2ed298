"""Submodels run in a backend's own process."""

import numpy as np
import pytest

from normdeploy.backends.catalog import Backend
from normdeploy.errors import BackendFailure
from normdeploy.graph.inference import inferred
from normdeploy.validation.localize.execution import runner
from tests.builders import unary


def test_a_model_is_run_on_inputs():
    run = runner(Backend("right", "normdeploy.backends.onnxruntime:open_cpu"), 300)
    outputs = run(inferred(unary("Neg", ["N", 3])), {"x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(outputs["y"], -np.ones((2, 3)))


def test_a_crash_is_the_backends_failure():
    run = runner(Backend("aborts", "tests.validation.misbehaving_for_check:aborts"), 300)
    with pytest.raises(BackendFailure, match="SIGABRT"):
        run(inferred(unary("Neg", ["N", 3])), {"x": np.ones((2, 3), np.float32)})
