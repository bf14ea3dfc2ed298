"""What rounding may do to one operator: the model that stands at the operator's definition.

`normdeploy.reference.rounding` draws errors by these models, and says where their sizes come from. An
operator has no default: `operator(...)` asks for one of the models below, or for a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from normdeploy.dtypes import Array

Keywords = Mapping[str, Any]
"""The attributes of a node as its operator's function is given them; those at their default are left out."""

Count = Callable[[Keywords, Sequence[Any]], int]
"""(attributes, inputs) of a node -> a number of terms or steps. The first input is there; optional ones
may be None."""

APPROXIMATE_ULPS = 4.0
"""The error of a function that runtimes approximate, in units of roundoff.

onnxruntime's float32 functions err by about as much at most, Asin by 6: tests/reference/test_rounding.py
measures them.
"""


@dataclass(frozen=True)
class RoundingModel:
    """How the result of an operator errs; u is the unit roundoff of the arithmetic inside it.

    Attributes:
        ulps: relative error of the computation, in u. The storage of the result adds its own roundoff.
        absolute_ulps: absolute error, in u: of functions whose range is bounded by about 1.
        terms: how many terms each inner sum has; None without a sum.
        plain_sum: whether the terms have no weights, so that they may be equal and their roundings add up.
        running_sum: whether runtimes may slide the sum over the channels (LRN).
        every_operand: whether the inputs themselves are the terms, so that an error of each of them counts.
        cancels: whether the operator subtracts numbers as large as its first input from it, so that an error
            of its input counts, not only one of its result.
        correctly_rounded: whether a result that the type holds exactly has no error.
        exact: whether numbers are only moved, selected or negated, or computed by the nodes of a subgraph.
        steps: how many times the result passes through the operator again (recurrent layers); None for once.
    """

    ulps: float
    absolute_ulps: float = 0.0
    terms: Count | None = None
    plain_sum: bool = False
    running_sum: bool = False
    every_operand: bool = False
    cancels: bool = False
    correctly_rounded: bool = False
    exact: bool = False
    steps: Count | None = None

    def of_sum(self, terms: Count, *, plain: bool = False) -> RoundingModel:
        """The same, for an operator that takes sums inside.

        Args:
            terms: the number of terms of each sum.
            plain: whether the terms have no weights.
        """
        return replace(self, terms=terms, plain_sum=plain)

    def count_terms(self, keywords: Keywords, inputs: Sequence[Array | None]) -> int:
        """How many terms each of a node's sums has; 1 where it takes none."""
        return _count(self.terms, keywords, inputs)

    def count_steps(self, keywords: Keywords, inputs: Sequence[Array | None]) -> int:
        """How many times a node's result passes through its operator."""
        return _count(self.steps, keywords, inputs)


def _count(rule: Count | None, keywords: Keywords, inputs: Sequence[Array | None]) -> int:
    if rule is None or not inputs or inputs[0] is None:
        return 1
    return max(1, int(rule(keywords, inputs)))


EXACT = RoundingModel(0.0, exact=True)
"""Moves, selects or negates numbers, gives integers or booleans, or leaves the work to a subgraph."""

CONVERSION = RoundingModel(0.0, correctly_rounded=True)
"""Errs only by the storage of its result in another type."""

CORRECTLY_ROUNDED = RoundingModel(1.0, correctly_rounded=True)
"""One operation of IEEE 754: integers in floating point stay integers."""

FUNCTION = RoundingModel(APPROXIMATE_ULPS)
"""A function that runtimes approximate, or that takes a few roundings."""

BOUNDED_FUNCTION = RoundingModel(APPROXIMATE_ULPS, absolute_ulps=APPROXIMATE_ULPS)
"""A function that is approximated with an absolute error, too."""

CANCELLING = RoundingModel(APPROXIMATE_ULPS, cancels=True)
"""Takes a few roundings, and subtracts numbers as large as its first input: a mean, a rotated coordinate."""


def sum_of(terms: Count, *, plain: bool = False) -> RoundingModel:
    """A sum whose products and additions are correctly rounded, each by itself.

    Args:
        terms: the number of terms of each sum.
        plain: whether the terms have no weights.
    """
    return RoundingModel(1.0).of_sum(terms, plain=plain)


def recurrent(terms: Count, steps: Count) -> RoundingModel:
    """A layer whose state passes through bounded functions at each step.

    Args:
        terms: the number of terms that reach a state, over all steps.
        steps: the number of steps.
    """
    return replace(BOUNDED_FUNCTION, terms=terms, steps=steps)
