"""How a search judges tensors: by measured rounding, whatever the outputs are allowed.

A tolerance that a user gives is meant for the model's outputs. An inner tensor has another scale, so that a
node that only rounds would exceed it, or a wrong one stay below: it says nothing about single nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize.submodels import with_outputs

Arrays = Mapping[str, Array]


class TensorJudge(Protocol):
    """Judges the outputs of one model on one set of inputs."""

    def compare(self, name: str, actual: Array) -> TensorComparison:
        """Compare what a backend gave with what is right.

        Args:
            name: of the output.
            actual: what the backend gave.
        """
        ...

    def compare_graph(self, name: str) -> TensorComparison:
        """Compare what the reference makes of the model with what is right, beyond the rounding of weights.

        Args:
            name: of the output.
        """
        ...


Judgement = Callable[[ir.Model, ir.Model, Arrays], TensorJudge]
"""Called with a model, the model that says what is right (which has tensors of these names in its main graph,
and may be the same object), and inputs of both."""


def by_rounding(seed: int) -> Judgement:
    """Judges by measured rounding, as `check` judges outputs without tolerances.

    Args:
        seed: of the random errors in that measurement.
    """

    def judge(model: ir.Model, original: ir.Model, inputs: Arrays) -> TensorJudge:
        return _ByRounding(model, original, inputs, seed)

    return judge


class _ByRounding:
    def __init__(self, model: ir.Model, original: ir.Model, inputs: Arrays, seed: int) -> None:
        names = [str(value.name) for value in model.graph.outputs]
        ours = Evaluator(model, keep_weights=True)
        theirs = ours if original is model else Evaluator(with_outputs(original, names), keep_weights=True)
        with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
            self._case = Judge(ours, theirs, None, seed).on(inputs)

    def compare(self, name: str, actual: Array) -> TensorComparison:
        if actual.shape != self._case.expected[name].shape:
            return _of_another_shape(actual)
        with np.errstate(all="ignore"):
            return self._case.compare(name, actual)

    def compare_graph(self, name: str) -> TensorComparison:
        with np.errstate(all="ignore"):
            if self._case.computed[name].shape != self._case.expected[name].shape:
                return _of_another_shape(self._case.computed[name])
            return self._case.compare_graph(name)


def _of_another_shape(actual: Array) -> TensorComparison:
    return TensorComparison(actual.size, actual.size, noise_ratio=math.inf)
