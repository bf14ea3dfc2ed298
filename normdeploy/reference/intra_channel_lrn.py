"""Operators of normdeploy's own domain, for models that carry no function body for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normdeploy.dtypes import Array
from normdeploy.lrn import LRN, lrn
from normdeploy.reference.pooling import average_pool
from normdeploy.reference.repeated_terms import equal_neighbours
from normdeploy.reference.rounding_model import Deviation, Keywords, RoundingModel, relative_to_sum
from normdeploy.reference.signature import operator


def _errors(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """The sum's, to the power of beta, and those of the power and the quotient."""
    x, size = inputs[0], keywords["size"]
    rank = x.ndim - 2
    pads = [size // 2] * rank + [size - 1 - size // 2] * rank
    repeated = average_pool(equal_neighbours(x), kernel_shape=[size] * rank, pads=pads, count_include_pad=1)
    of_sum = relative_to_sum(size**rank, repeated * size**rank)
    return (Deviation(1.5 + keywords.get("beta", 0.75) * of_sum),)


@operator("IntraChannelLRN", since=1, rounding=RoundingModel(_errors), domain="normdeploy")
def intra_channel_lrn(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    """x / (bias + alpha / size² · Σ x²)^beta, the sum over a square of pixels of the same channel.

    The window of an even size is [−size/2, size/2 − 1] along each axis; see `normdeploy.lrn`.
    """
    return lrn(x, LRN(size, alpha, beta, bias, "within", "torch"))
