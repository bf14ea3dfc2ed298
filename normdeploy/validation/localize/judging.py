"""How a search judges tensors: as `check` judges a model's outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize.submodels import with_outputs
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]

CompareTensors = Callable[[ir.Model, ir.Model, Arrays, Arrays], Mapping[str, TensorComparison]]
"""Called with a model, the model that says what is right, inputs of both, and the first one's outputs."""


def comparison_by(tolerance: Tolerance | None, seed: int) -> CompareTensors:
    """Compares by a given tolerance, or by measured rounding.

    Args:
        tolerance: the user's own; None to measure what rounding does.
        seed: of the random errors in that measurement.
    """

    def compare(
        model: ir.Model, original: ir.Model, inputs: Arrays, actual: Arrays
    ) -> dict[str, TensorComparison]:
        ours = Evaluator(model)
        theirs = ours if original is model else Evaluator(with_outputs(original, actual.keys()))
        with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
            case = Judge(ours, theirs, tolerance, seed).on(inputs)
            return {
                name: case.compare(name, array)
                if array.shape == case.expected[name].shape
                else TensorComparison(array.size, array.size, noise_ratio=math.inf)
                for name, array in actual.items()
            }

    return compare
