"""Do two runs of a backend agree? Each may be off by rounding, so they differ by at most what two roundings
explain: √2 times the standard deviation of one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.noise import RoundingNoise, factor
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]

_BOTH = math.sqrt(2)
"""The standard deviation of the difference of two independent errors, over that of one."""

Pick = Callable[[Array], Array]
"""Takes from an array of an output's shape what belongs to the elements that are compared."""


@contextmanager
def quietly() -> Iterator[None]:
    """NaN, overflow and means over nothing are what is compared, not news."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def everything(array: Array) -> Array:
    """All elements, in their places."""
    return array


class TwoRuns:
    """What two runs of a model on the same inputs may differ by.

    Args:
        evaluator: of the model that the backend runs; its tensors' types say how they round.
        inputs: of both runs.
        tolerance: the user's own, which each of the runs may use up; None to measure what rounding does.
        seed: of the random errors in that measurement.
        on_node: sees the nodes as the reference computes them.

    Attributes:
        exact: the reference's outputs by name.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        inputs: Arrays,
        tolerance: Tolerance | None,
        seed: int,
        on_node: NodeObserver | None = None,
    ) -> None:
        with quietly():
            self.exact: Arrays = evaluator.run(inputs, on_node=on_node)
        self._judged_by: Tolerance | RoundingNoise = tolerance or RoundingNoise(
            evaluator, inputs, seed, lambda: self.exact
        )

    def compare(
        self, name: str, left: Array, right: Array, pick: Pick = everything, *, steps: bool = True
    ) -> TensorComparison:
        """Compare two runs' output, or the same part of it.

        Args:
            name: of the output.
            left, right: of the same shape.
            pick: which part.
            steps: whether to look, where they differ too much, if rounding makes the output jump.
        """
        if left.dtype.kind != right.dtype.kind:
            return TensorComparison(left.size, left.size, noise_ratio=math.inf)
        sigma: Array | None = None
        if isinstance(self._judged_by, Tolerance):
            allowed = 2 * pick(self._judged_by.allowed(self.exact[name]))
            return _compared(left, right, allowed, None)
        noise = self._judged_by
        if self.exact[name].dtype == np.float64:
            with quietly():
                sigma = _BOTH * pick(noise.expected(name))
            allowed = factor(self.exact[name].size) * sigma
        else:
            allowed = np.zeros(left.shape)
        found = _compared(left, right, allowed, sigma)
        if not found.wrong or not steps:
            return found
        allowed = np.maximum(allowed, _BOTH * pick(noise.reach(name)))
        return _compared(left, right, allowed, sigma, pick(noise.undefined(name)))

    def has_settled_shape(self, name: str) -> bool:
        """Whether rounding cannot change how many rows an output has (those behind NonZero, for instance)."""
        if isinstance(self._judged_by, Tolerance):
            return True
        return bool(np.all(np.isfinite(self._judged_by.reach(name))))


def same_bits(left: Array, right: Array) -> bool:
    """Whether two arrays are equal bit for bit."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(np.array_equal(left, right)) if left.dtype == object else left.tobytes() == right.tobytes()


def _compared(
    left: Array, right: Array, allowed: Array, sigma: Array | None, undefined: Array | None = None
) -> TensorComparison:
    """`compare` takes float64 for what a floating array is compared with."""
    other = right.astype(np.float64) if sigma is not None or right.dtype.kind == "f" else right
    return compare(left, other, allowed, sigma, undefined)
