"""What a kernel's outputs may differ by: what a backend's may, and a little more where it is by chance.

An element that happens to cancel to nearly 0 has little rounding of its own, and a kernel that rounds its
operands, or a running sum, errs by the size of its neighbours. No user calls that wrong. So an element may be
off by what is usual for its row, or for its map where an output has maps: the root mean square of the
standard deviations there. Where most elements cancel, that is small, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.kernels import MadeFor, RoundedOnce
from normdeploy.reference.rounding import RandomRounding
from normdeploy.validation.noise import Arithmetic


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
