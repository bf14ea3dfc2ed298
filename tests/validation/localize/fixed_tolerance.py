"""A fixed tolerance for tests of the search itself."""

import numpy as np

from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison


def by_fixed_tolerance(model, original, inputs, actual):
    """1e-4 of each element, and of the tensor's root mean square."""
    found = {}
    for name, expected in Evaluator(original).run(inputs, list(actual)).items():
        error = np.abs(actual[name].astype(np.float64) - expected)
        ratio = error / (1e-4 * (np.abs(expected) + np.sqrt(np.mean(np.square(expected)))) + 1e-30)
        found[name] = TensorComparison(
            expected.size, int((ratio > 1).sum()), float(error.max()), noise_ratio=float(ratio.max())
        )
    return found
