"""A fixed tolerance for tests of the search itself."""

import numpy as np

from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison


class ByFixedTolerance:
    """1e-4 of each element, and of the tensor's root mean square."""

    def __init__(self, model, original, inputs):
        names = [value.name for value in model.graph.outputs]
        self._computed = Evaluator(model).run(inputs)
        self._expected = Evaluator(original).run(inputs, names)

    def compare(self, name, actual):
        expected = self._expected[name]
        error = np.abs(actual.astype(np.float64) - expected)
        ratio = error / (1e-4 * (np.abs(expected) + np.sqrt(np.mean(np.square(expected)))) + 1e-30)
        return TensorComparison(
            expected.size, int((ratio > 1).sum()), float(error.max()), noise_ratio=float(ratio.max())
        )

    def compare_graph(self, name):
        return self.compare(name, self._computed[name])
