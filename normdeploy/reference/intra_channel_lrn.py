"""Operators of normdeploy's own domain, for models that carry no function body for them."""

from __future__ import annotations

from normdeploy.dtypes import Array
from normdeploy.lrn import LRN, lrn
from normdeploy.reference.signature import operator


@operator("IntraChannelLRN", since=1, domain="normdeploy")
def intra_channel_lrn(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    return lrn(x, LRN(size, alpha, beta, bias, "within", "torch"))
