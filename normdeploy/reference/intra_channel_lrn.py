"""Operators of normdeploy's own domain, for models that carry no function body for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normdeploy.dtypes import Array
from normdeploy.lrn import LRN, lrn
from normdeploy.reference.rounding_model import FUNCTION, Keywords
from normdeploy.reference.signature import operator


def _window_size(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """size along each axis of a map."""
    return int(keywords["size"] ** (inputs[0].ndim - 2))


@operator("IntraChannelLRN", since=1, rounding=FUNCTION.of_sum(_window_size, plain=True), domain="normdeploy")
def intra_channel_lrn(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    """x / (bias + alpha / size² · Σ x²)^beta, the sum over a square of pixels of the same channel.

    The window of an even size is [−size/2, size/2 − 1] along each axis; see `normdeploy.lrn`.
    """
    return lrn(x, LRN(size, alpha, beta, bias, "within", "torch"))
