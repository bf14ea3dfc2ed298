"""Random errors as those of an arithmetic that rounds some results once more, to a shorter type."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.kernels.arithmetic import MadeFor
from normdeploy.reference.execution_plan import OperatorCall
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.reference.rounding import RandomRounding


class RoundedOnce(RandomRounding):
    """The errors of rounding, and for nodes that a choice concerns also those of the type that it rounds to.

    A kernel that rounds its operands is right, if it is about as good as one that rounds its result: a sum
    without cancellation is.

    Args:
        seed, amplitude, numbers: see `RandomRounding`.
        made: choices; those count that have a type to round to.
    """

    def __init__(self, seed: int, amplitude: float, numbers: RoundedNumbers, made: Sequence[MadeFor]) -> None:
        super().__init__(seed, amplitude, numbers=numbers)
        self._made = [each for each in made if each.choice.rounds_to is not None]
        self._size = amplitude * 2 * math.sqrt(3)
        self._random = np.random.default_rng([seed, 1])

    def results(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> list[Array]:
        """A node's outputs with their errors.

        Args:
            call, arguments, results: see `RandomRounding.results`.
        """
        found = super().results(call, arguments, results)
        for made in self._made:
            if made.choice.rounds_to is not None and made.concerns(call):
                size = made.choice.rounds_to.unit_roundoff * self._size
                found = [
                    array + size * (self._random.random(array.shape) - 0.5) * np.abs(array)
                    if is_floating(array.dtype)
                    else array
                    for array in found
                ]
        return found
