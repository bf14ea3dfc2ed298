"""Operators of normdeploy's own domain, for models that carry no function body for them."""

from __future__ import annotations

from normdeploy.dtypes import Array
from normdeploy.lrn import LRN, lrn
from normdeploy.reference.rounding_model import FUNCTION
from normdeploy.reference.signature import operator


@operator("IntraChannelLRN", since=1, rounding=FUNCTION, domain="normdeploy")
def intra_channel_lrn(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    """x / (bias + alpha / size² · Σ x²)^beta, the sum over a square of pixels of the same channel.

    The window of an even size is [−size/2, size/2 − 1] along each axis; see `normdeploy.lrn`.
    """
    return lrn(x, LRN(size, alpha, beta, bias, "within", "torch"))
