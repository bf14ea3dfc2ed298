"""What a kernel's outputs may differ by: what a backend's may, and a little more where it is by chance.

An element that happens to cancel to nearly 0 has little rounding of its own, and a kernel that rounds its
operands, or a running sum, errs by the size of its neighbours. No user calls that wrong. So an element may be
off by what is usual for its row, or for its map where an output has maps: the root mean square of the
standard deviations there. Where most elements cancel, that is small, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.kernels import MadeFor, RoundedOnce
from normdeploy.reference.rounding import RandomRounding
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.judge import Case, Judge
from normdeploy.validation.noise import Arithmetic, RoundingNoise, factor
from normdeploy.validation.row_outputs import Judged, RowGroup, fits
from normdeploy.validation.row_selection import SelectedLengths


@dataclass(frozen=True)
class KernelRounding(Arithmetic):
    """Rounding as for backends, with results of some nodes rounded to the type that a choice rounds to.

    Args:
        numbers, in_float64: see `Arithmetic`.
        made: the choices that do.
    """

    made: tuple[MadeFor, ...] = ()

    def rounding(self, seed: int, amplitude: float) -> RandomRounding:
        """The errors of one run.

        Args:
            seed, amplitude: see `RandomRounding`.
        """
        return RoundedOnce(seed, amplitude, self.numbers, self.made)


class KernelJudge:
    """Judges outputs for one batch and one arithmetic.

    Args:
        judge: of the check.
        inputs: the batch.
        case: what is right for it.
        arithmetic: what rounding is allowed.
    """

    def __init__(self, judge: Judge, inputs: Mapping[str, Array], case: Case, arithmetic: Arithmetic) -> None:
        self._judge = judge
        self._inputs = inputs
        self._case = case
        self._arithmetic = arithmetic

    def judge(self, actual: Mapping[str, Array]) -> dict[str, Judged]:
        """Compare outputs with what is right.

        Args:
            actual: what a kernel gives.

        Returns:
            By name, those of which it gave the right kind.
        """
        if self._judge.tolerance is not None:
            return self._case.judge(actual)
        expected = self._case.expected

        def plain(name: str) -> Judged:
            return Judged(self._compared(name, actual[name], expected[name]), actual[name], expected[name])

        found: dict[str, Judged] = {}
        _, groups = self._measured
        for group in groups:
            found |= group.judge(actual, expected, plain)
        grouped = {name for names in self._judge.row_groups for name in names}
        rest = [name for name in expected if name not in grouped and fits(name, actual, expected)]
        return found | {name: plain(name) for name in rest}

    @cached_property
    def _measured(self) -> tuple[RoundingNoise, list[RowGroup]]:
        judge, computed = self._judge, self._case.computed
        lengths = SelectedLengths()
        watch = lengths if judge.row_groups else None
        noise = RoundingNoise(judge.deployed, self._inputs, judge.seed, computed, self._arithmetic, watch)
        return noise, [RowGroup(names, computed, noise, lengths.seen) for names in judge.row_groups]

    def _compared(self, name: str, actual: Array, expected: Array) -> TensorComparison:
        noise, _ = self._measured
        if expected.dtype != np.float64:
            found = compare(actual, expected)
            return found if not found.wrong else compare(actual, expected, noise.reach(name))
        sigma = usual(noise.expected(name))
        allowed = factor(expected.size) * sigma
        found = compare(actual, expected, allowed, sigma)
        if not found.wrong:
            return found
        allowed = np.maximum(allowed, noise.reach(name))
        return compare(actual, expected, allowed, sigma, noise.undefined(name))


def usual(sigma: Array) -> Array:
    """For each element the larger of its standard deviation and that of its row or map, root mean square.

    Args:
        sigma: of each element.
    """
    if not sigma.size or not sigma.ndim:
        return sigma
    kept = min(2 if sigma.ndim > 3 else 1, sigma.ndim - 1)
    rows = sigma.reshape(math.prod(sigma.shape[:kept]), -1)
    with np.errstate(all="ignore"):
        finite = np.where(np.isfinite(rows), rows, 0.0)
        together = np.sqrt(np.mean(np.square(finite), axis=1, keepdims=True))
        return np.asarray(np.fmax(rows, together)).reshape(sigma.shape)
