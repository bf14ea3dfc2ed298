"""What rounding may do to one operator: the model that stands at the operator's definition.

`normdeploy.reference.rounding` draws errors by these models. An operator has no default: `operator(...)` asks
for one of the models below, or for a new one.

A model says what the operator's own arithmetic does, by the analysis of errors that is usual for it (Higham,
"Accuracy and Stability of Numerical Algorithms", 2002): errors of its results (forward), and errors of its
operands that have the same effect (backward), each as a standard deviation in units of the roundoff u of that
arithmetic. The storage of a result in its type adds its own roundoff, which is no part of the model.

A sum of n terms in order makes an error of variance u²/3 · Σ_k s_k², s_k its partial sums (section 4.2, with
rounding errors independent). Taking s_k to drift to the sum S while it walks at random, s_k = k/n · S + √k ·
t with t the root mean square of the terms, gives a standard deviation of u·√n · (0.33·|S| + 0.41·√Σ terms²).
The first part is an error of the result, the second is what an error of 0.41·u·√n in each operand makes of
it.

Terms that stand in the order of their signs do not walk at random: of 64 ones and then 64 minus ones the
partial sums reach 64 and the sum is 0, with an error of 0.17·u·n^1.5. Half of the variance of the operands'
errors is therefore common to each of four runs of terms (`in_blocks`), and adds up to 0 over them: terms of
any sign keep the error that they had, and those in order are given 0.17·u·n^1.5.

Where m terms are the same number again and again (a mean over a plain background), rounding repeats itself
too, and errors add up: half of the steps lie in the last binade of the partial sums, where each errs by the
same amount, uniform in ±u·S: 0.2·u·m·S. Sums whose terms have no weights are given that error for the terms
that their data repeats (see `normdeploy.reference.repeated_terms`), however many they are: onnxruntime sums
16,384 equal terms along an axis in order, and errs by 2,000 u.

Where a model holds a number, it is the error of a kernel in use: what the operations of a formula make of
it, or what onnxruntime's float32 functions do; tests/reference/test_rounding_registry.py holds every
operator against onnxruntime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normdeploy.dtypes import Array

Keywords = Mapping[str, Any]
"""The attributes of a node as its operator's function is given them; those at their default are left out."""

Count = Callable[[Keywords, Sequence[Any]], int]
"""(attributes, inputs) of a node -> a number of terms. The first input is there, others may be None."""


@dataclass(frozen=True)
class Deviation:
    """The standard deviation of an array's errors, in u: relative · |value| + absolute, element by element.

    Attributes:
        relative, absolute: numbers, or arrays that broadcast to the array's shape.
        infinite: where the result may also be infinite, since something before it may overflow; nowhere by
            default.
        blocks: the sizes of blocks along each axis, whose elements have half of the errors' variance in
            common; by default each element has an error of its own. For errors of operands only.
    """

    relative: float | Array = 0.0
    absolute: float | Array = 0.0
    infinite: Array | None = None
    blocks: tuple[int, ...] | None = None


Results = Callable[[Keywords, Sequence[Any], Sequence[Array]], Sequence[Deviation | None]]
"""(attributes, inputs, outputs) -> the errors of each floating output; None for one that is only moved,
selected or negated, so that it has no error and is not stored anew. Outputs at the end may be left out, and
are then like the last."""

Operands = Callable[[Keywords, Sequence[Any]], Sequence[Deviation | None]]
"""(attributes, inputs) -> the errors of each input that have the effect of the operator's own; inputs at the
end may be left out."""


def _exact(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation | None]:
    return (None,)


@dataclass(frozen=True)
class RoundingModel:
    """How the results of an operator err.

    Attributes:
        results: their errors.
        operands: errors of the inputs that stand for others of the results; none by default.
        correctly_rounded: whether a result that the type holds exactly has no error.
    """

    results: Results = _exact
    operands: Operands | None = None
    correctly_rounded: bool = False

    @property
    def exact(self) -> bool:
        """Whether nothing errs."""
        return self.results is _exact and self.operands is None


def function(ulps: float) -> RoundingModel:
    """A function whose error is relative to its result.

    Args:
        ulps: the standard deviation in u. A verdict allows the 4 to 7 times of that and the roundoff of the
            storage, so a fifth of the largest error that kernels make is enough.
    """
    return RoundingModel(lambda keywords, inputs, outputs: (Deviation(ulps),))


def absolute(
    errors: Callable[..., float | Array], ulps: float = 0.0, *, correctly_rounded: bool = False
) -> RoundingModel:
    """A function of a first input x whose error is not relative to its result: a sum inside it cancels.

    Args:
        errors: (x, **attributes) -> the absolute error in u.
        ulps: the relative error.
        correctly_rounded: see `RoundingModel`.
    """

    def results(
        keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
    ) -> Sequence[Deviation | None]:
        return (Deviation(ulps, np.asarray(errors(inputs[0], **keywords))),)

    return RoundingModel(results, correctly_rounded=correctly_rounded)


EXACT = RoundingModel()
"""Moves, selects or negates numbers, gives integers or booleans, or leaves the work to a subgraph."""

CORRECTLY_ROUNDED = RoundingModel(lambda keywords, inputs, outputs: (Deviation(),), correctly_rounded=True)
"""One operation of IEEE 754, or a conversion: integers in floating point stay integers."""

FUNCTION = function(0.5)
"""A function that runtimes approximate to 2 ulp or better: onnxruntime's Exp, Erf, Sin, Cos, Tan, Sinh, Cosh,
Asinh, Acosh, Atanh and Softsign err by 1.0 to 2.8 u, and CUDA's are documented with 1 to 2 ulp."""

SHARE_OF_SUM = 0.33
SHARE_OF_TERMS = 0.41
SHARE_OF_REPEATED_TERMS = 0.2
"""The numbers of the text above, which derives them; tests/reference/test_rounding.py measures them."""

Repeats = Callable[[Keywords, Sequence[Any]], float | Array]
"""(attributes, inputs) -> how many terms of each sum repeat others; broadcasts to the result."""


def relative_to_sum(terms: int, repeated: float | Array = 0.0) -> float | Array:
    """The part of a sum's error that is relative to it, in u.

    Args:
        terms: how many it has; a single one makes no sum.
        repeated: how many of them repeat others.
    """
    drift = SHARE_OF_SUM * math.sqrt(terms) if terms > 1 else 0.0
    return drift + SHARE_OF_REPEATED_TERMS * repeated


def relative_to_terms(terms: int) -> float:
    """The other part: the error of each operand that stands for it, in u; that of a product is in it."""
    return max(1.0, SHARE_OF_TERMS * math.sqrt(terms)) if terms > 1 else 0.0


Summed = Callable[[Keywords, Sequence[Any]], Mapping[int, int]]
"""(attributes, inputs) -> axis of the first input: how many of its elements are in one sum; the axes in the
order in which the terms are added, the outermost first."""

_LONG = 48
"""Terms of a sum whose error may be beyond what is allowed if they stand in the order of their signs: it is
0.41·√n times that of terms of any sign."""

_BLOCKS = 4
"""Runs of terms whose operands' errors have a part in common."""


def in_blocks(ndim: int, summed: Mapping[int, int]) -> tuple[int, ...] | None:
    """The blocks of an operand that hold a quarter of the terms of each sum, those that follow each other.

    Args:
        ndim: of the operand.
        summed: see `Summed`.

    Returns:
        None where the terms are so few that what is allowed covers any order.
    """
    if math.prod(summed.values()) < _LONG:
        return None
    sizes, blocks = [1] * ndim, _BLOCKS
    for axis, size in summed.items():
        sizes[axis] = -(-size // blocks)
        blocks = max(1, blocks // size)
    return tuple(sizes)


Added = Callable[[Keywords, Sequence[Any]], Array | None]
"""(attributes, inputs) -> what is added to each sum, None for nothing; broadcasts to the result."""


def sum_of(
    terms: Count,
    *,
    ulps: float = 1.0,
    repeats: Repeats | None = None,
    added: Added | None = None,
    summed: Summed | None = None,
) -> RoundingModel:
    """A sum of products, or of its first input's elements.

    Args:
        terms: the number of terms of each sum.
        ulps: the relative error of what comes after the sum; its own last addition by default.
        repeats: how many terms repeat others, where they have no weights.
        added: what is added to the sum when it is made, and may cancel it; nothing by default.
        summed: the axes of its first input that are summed, where terms may stand in the order of signs.
    """

    def results(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
        repeated = 0.0 if repeats is None else repeats(keywords, inputs)
        of_sum = relative_to_sum(max(1, terms(keywords, inputs)), repeated)
        addend = None if added is None else added(keywords, inputs)
        if addend is None:
            return (Deviation(ulps + of_sum),)
        return (Deviation(ulps, np.maximum(of_sum, 1.0) * np.abs(outputs[0] - addend)),)

    def operands(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation | None]:
        blocks = None if summed is None else in_blocks(inputs[0].ndim, summed(keywords, inputs))
        return (Deviation(relative_to_terms(terms(keywords, inputs)), blocks=blocks),)

    return RoundingModel(results, operands)
