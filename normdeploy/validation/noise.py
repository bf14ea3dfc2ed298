"""How far rounding alone can move each element of a model's outputs, measured.

The reference computes the outputs exactly, and again several times with random errors of the size of
rounding in every operation (see `normdeploy.reference.rounding`). The deviations δ of these runs give each
element's expected rounding ::

    σ² = (K · mean(δ²) + d · s²) / (K + d)        K = 3, d = 4

K is the number of runs and s² the mean of δ² over the elements whose values are about as large, which
stands in for d further runs: few runs tell little of a single element, but elements of a size round alike (a
moderated variance: Smyth, "Linear models and empirical Bayes methods", 2004). An error e is judged as that
of a normal variable among N elements: it is rounding if ::

    |e| <= √(2 ln(N / p)) · σ        p = 1e-4

since the largest of N standard normal numbers exceeds that factor with a probability below p. It is 4.3 for
one element and 6.8 for a million.

The errors of most right outputs are so small that one run tells: the formula with K = 1 gives a σ₁ of at
most √(21/5) σ, since further runs can make none of the sums smaller. What is below √(5/21) = 0.49 of what one
run allows is therefore below what three allow, and the two others are made only for an output with errors
above.

Functions with steps (ArgMax, TopK, comparisons, a threshold) turn rounding into jumps. Before an element is
called wrong, eight runs whose errors are that factor times as large show whether it can jump; what they reach
is allowed too. An integer or boolean that they change is a tie, or that eight runs with the opposite errors
change: eight by themselves leave one of 256 exact ties where it was.

How often a right output is called wrong, if its errors are as large as those that are put in: the three runs
alone do so to 2 % of scalars, 0.2 % of tensors of a thousand elements and 4 % of those of a million, since
their own errors may happen to have been small; with the eight runs that follow then, 0.002 %, 0.003 % and
0.04 % are left. What an error has to exceed to be seen is the larger of the two bounds, 1.7 times the first
one on average. (tests/validation/test_noise.py computes these numbers, and those below.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.parallel import Task
from normdeploy.reference import Evaluator
from normdeploy.reference.evaluator import NodeObserver
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.reference.rounding import RandomRounding

RUNS = 3
"""K. Each costs an evaluation of the model, and they find the elements that round more than others of their
size: one whose errors are five times as large is called wrong at first with 12 % by one run, 3 % by three."""

_AMPLIFIED_RUNS = 8
"""Those with amplified errors, where the first runs call something wrong. With four of them, 0.4 % of right
tensors of a million elements would be called wrong."""

_PRIOR_RUNS = 4
"""d: σ is at least √(d / (K + d)) = 0.76 of what elements of a size have on average, however small the errors
of the three runs were. With d = 2 nearly every tensor of a million elements would need the further runs, and
0.4 % would be called wrong after them."""

ONE_RUN_TELLS = math.sqrt((1 + _PRIOR_RUNS) / (RUNS * (RUNS + _PRIOR_RUNS)))
"""√(5/21): an error below so much of what one run allows is below what all allow. For σ₁² is (δ₁² + d · s₁²)
/ (1 + d), and σ² at least (δ₁² + d · s₁² / K) / (K + d), what it is if the other runs move nothing."""

_PROBABILITY = 1e-4
"""p, for one tensor: the factor by itself, with σ known, calls less than 1 % of checks of a hundred right
tensors wrong."""

_BIN = 64
"""Elements of about the same size that share s², at least. K runs of them know s² to √(2 / 192) = 10 %. With
16, four in ten tensors of a million elements would need the further runs; with 256, two in a hundred."""


@dataclass(frozen=True)
class Arithmetic:
    """What rounds in the runs that are measured.

    Args:
        numbers: those of the file that were rounded when they were stored.
        in_float64: whether operations round as in float64, whatever types the tensors have.
    """

    numbers: RoundedNumbers = field(default_factory=RoundedNumbers)
    in_float64: bool = False

    def rounding(self, seed: int, amplitude: float) -> RandomRounding:
        """The errors of one run."""
        return RandomRounding(seed, amplitude, numbers=self.numbers, in_float64=self.in_float64)


class RoundingNoise:
    """The expected rounding of a model's outputs for one batch of inputs.

    Args:
        evaluator: of the deployed model; its tensors' types say how they are rounded.
        inputs: the batch.
        seed: of the random errors.
        exact: gives what the evaluator makes of the inputs, where that is computed elsewhere.
        arithmetic: what rounds; by default every operation in the type of its tensors.
        on_node: sees the nodes of the runs without amplified errors.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        inputs: Mapping[str, Array],
        seed: int,
        exact: Callable[[], Mapping[str, Array]] | None = None,
        arithmetic: Arithmetic | None = None,
        on_node: NodeObserver | None = None,
    ) -> None:
        self._evaluator = evaluator
        self._inputs = inputs
        self._seed = seed
        self._arithmetic = arithmetic or Arithmetic()
        self._exact = exact or Task(partial(evaluator.run, inputs)).result
        self._base = [Task(partial(self._run, index, 1.0, on_node)) for index in range(RUNS)]
        self._amplified: list[Task[dict[str, Array]]] = []
        self._expected: dict[tuple[str, int], Array] = {}

    @property
    def known_runs(self) -> list[dict[str, Array]]:
        """The disturbed runs that have been made so far, those without amplified errors in any case."""
        return [*_results(self._base), *_results(self._amplified)]

    def begin(self) -> None:
        """Let helpers compute the first run."""
        self._base[0].begin()

    def expected(self, name: str, runs: int = RUNS) -> Array:
        """The standard deviation σ of a floating output's rounding, per element.

        Args:
            name: of the output.
            runs: how many it is measured by, `RUNS` at most.
        """
        if (name, runs) not in self._expected:
            exact = self._exact()[name]
            deviations = [_deviation(run[name], exact) for run in _results(self._base[:runs])]
            self._expected[name, runs] = moderated(exact, deviations)
        return self._expected[name, runs]

    def reach(self, name: str) -> Array:
        """How far amplified rounding moved each element, at most; for integers and booleans, 1 if it did."""
        deviations = self._deviations(name)
        return np.asarray(np.max(deviations, axis=0, initial=0.0, where=~np.isnan(deviations)))

    def undefined(self, name: str) -> Array:
        """Which elements amplified rounding made NaN or infinite, or finite where they are not."""
        return np.asarray(np.any(np.isnan(self._deviations(name)), axis=0))

    def runs(self, amplified: int) -> list[tuple[float, Mapping[str, Array]]]:
        """Disturbed runs, each with what its errors were multiplied by.

        Args:
            amplified: how many to give with amplified errors, after those without.
        """
        large = [(self._amplitude, run) for run in self._amplified_runs(amplified)]
        return [*((1.0, run) for run in _results(self._base)), *large]

    @property
    def _amplitude(self) -> float:
        return factor(max((array.size for array in self._exact().values()), default=1))

    def _amplified_runs(self, count: int) -> list[dict[str, Array]]:
        for index in range(len(self._amplified), count):
            self._amplified.append(Task(partial(self._run, RUNS + index, self._amplitude)))
        return _results(self._amplified[:count])

    def _deviations(self, name: str) -> Array:
        exact = self._exact()[name]
        runs = self._amplified_runs(_AMPLIFIED_RUNS)
        if exact.dtype != np.float64:
            runs += _results(self._opposite)
        return np.asarray([_deviation(run[name], exact) for run in runs])

    @cached_property
    def _opposite(self) -> list[Task[dict[str, Array]]]:
        """The amplified runs with the opposite errors: one of the two moves a tie to the other side."""
        runs = range(RUNS, RUNS + _AMPLIFIED_RUNS)
        return [Task(partial(self._run, index, -self._amplitude)) for index in runs]

    def _run(self, index: int, amplitude: float, on_node: NodeObserver | None = None) -> dict[str, Array]:
        rounding = self._arithmetic.rounding(self._seed + index, amplitude)
        with np.errstate(all="ignore"):  # NaN and overflow may be what an error makes of a number
            return self._evaluator.run(self._inputs, None, on_node, rounding)


def _results(tasks: Sequence[Task[dict[str, Array]]]) -> list[dict[str, Array]]:
    """What several runs give, which helpers may share."""
    return [task.result() for task in [task.begin() for task in tasks]]


def factor(elements: int) -> float:
    """√(2 ln(N / p)): how many standard deviations the largest of N normal variables may reach.

    Args:
        elements: N.
    """
    return math.sqrt(2 * math.log(max(elements, 1) / _PROBABILITY))


def _deviation(run: Array, exact: Array) -> Array:
    """|δ|, NaN where only one is finite or infinities differ; for other types 1 where they differ."""
    if run.shape != exact.shape:  # a number of rows that itself depends on rounding
        return np.full(exact.shape, np.inf)
    if exact.dtype != np.float64:
        return np.asarray(run != exact, dtype=np.float64)
    with np.errstate(all="ignore"):
        deviation = np.asarray(np.abs(run - exact))
        deviation[np.isinf(deviation)] = np.nan
        deviation[(run == exact) | (np.isnan(run) & np.isnan(exact))] = 0.0
        return np.asarray(deviation)


def _size_keys(exact: Array) -> Array:
    """|x| to nine bits, as integers that sort in its order: those of 16 bits are sorted in linear time."""
    with np.errstate(over="ignore"):
        bits = np.abs(exact).astype(np.float32).ravel().view(np.uint32)
    return np.asarray(bits >> np.uint32(15), dtype=np.uint16)


def moderated(exact: Array, deviations: list[Array]) -> Array:
    """The standard deviation of each element's rounding, by the formula above.

    Args:
        exact: the elements without errors.
        deviations: of each run; a NaN among them says nothing of its element.
    """
    squares = np.square(deviations)
    known = ~np.isnan(squares)
    runs = np.count_nonzero(known, axis=0)
    total = np.sum(squares, axis=0, where=known)
    order = np.argsort(_size_keys(exact), kind="stable")
    bins = max(1, exact.size // _BIN)
    prior = np.empty(exact.size)
    for part in np.array_split(order, bins):
        prior[part] = total.ravel()[part].sum() / max(runs.ravel()[part].sum(), 1)
    sigma: Array = np.sqrt((total + _PRIOR_RUNS * prior.reshape(exact.shape)) / (runs + _PRIOR_RUNS))
    return sigma
