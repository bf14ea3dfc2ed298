"""How the operators err that onnx's reference evaluator computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.convolution import terms_of_conv
from normdeploy.reference.rounding_model import (
    Deviation,
    Keywords,
    Operands,
    RoundingModel,
    relative_to_sum,
    relative_to_terms,
    sum_of,
)


def _results(ulps: float) -> Any:
    return lambda keywords, inputs, outputs: (Deviation(ulps),)


def _operands(*deviations: Deviation | None) -> Operands:
    return lambda keywords, inputs: deviations


# Places: a coordinate errs by the size of the map or of the region that it lies in.


def _affine_grid(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """θ · (x, y, 1) with x and y in [−1, 1]: the products may cancel."""
    theta = inputs[0]
    axes = (1,) * (outputs[0].ndim - 2)
    return (Deviation(absolute=np.abs(theta).sum(axis=2).reshape(theta.shape[0], *axes, -1)),)


def _deformed(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    terms = Deviation(relative_to_terms(terms_of_conv(keywords, inputs)))
    return (terms, Deviation(), Deviation(absolute=0.5 * max(inputs[0].shape[2:])))


def _deformed_sum(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    return (Deviation(1.0 + relative_to_sum(terms_of_conv(keywords, inputs))),)


def _regions(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    return (Deviation(1.0), Deviation(absolute=np.abs(inputs[1]).max(axis=1, keepdims=True, initial=0.0)))


def _samples(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """The mean of sampling_ratio² places, of a few where that is left to the region's size."""
    return (Deviation(1.0 + relative_to_sum((keywords.get("sampling_ratio", 0) or 4) ** 2)),)


AFFINE_GRID = RoundingModel(_affine_grid)
DEFORM_CONV = RoundingModel(_deformed_sum, _deformed)
ROI_ALIGN = RoundingModel(_samples, _regions)
ROTARY_EMBEDDING = RoundingModel(_results(0.0), _operands(Deviation(1.0)))


# Sums


def _block(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return int(np.prod(inputs[2]))


def _kernel(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return int(inputs[1].shape[-1])


def _states(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """Steps, and the longest products that a step takes."""
    return int(inputs[0].shape[1] + inputs[0].shape[2] // keywords["q_num_heads"])


def _every_state(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    return (Deviation(relative_to_terms(_states(keywords, inputs))),) * 3


COL2IM = sum_of(_block)
CAUSAL_CONV = sum_of(_kernel, ulps=2.0)
LINEAR_ATTENTION = RoundingModel(sum_of(_states).results, _every_state)


def _swiglu(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    return (Deviation(1.0, np.abs(inputs[0] * inputs[1])),)


SWIGLU = RoundingModel(_swiglu)
"""A · sigmoid(α · A) · B, see Sigmoid."""


def of_transform(length: int) -> float:
    """Error of a Fourier transform, relative to the norm of what is transformed.

    A fast one errs by a roundoff in each of its log2(n) steps. Where n is no power of 2, onnxruntime takes
    Bluestein's algorithm with angles of up to n · π in float32: 2 n u in the root mean square, 16 n u at
    most.
    """
    return 1.5 * math.log2(length) if length & (length - 1) == 0 else 5.0 * length


def _dft(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    x, length, place = [*inputs, None, None][:3]
    axis = keywords.get("axis", 1) if place is None else int(place.item())
    terms = x.shape[axis] if length is None else int(length.item())
    norm = np.sqrt(np.square(x).sum(axis=(axis, -1), keepdims=True))
    scale = 1 / terms if keywords.get("inverse", 0) else 1.0
    return (Deviation(1.0, of_transform(terms) * scale * norm),)


DFT = RoundingModel(_dft)


# Softmax and its logarithm inside; see Softmax


def _attended(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation | None]:
    """q · k as a sum of products, and the softmax's errors as those of the values that they weigh."""
    query, key = inputs[:2]
    size = query.shape[-1]
    if query.ndim == 3:
        size //= keywords["q_num_heads"]
    products = Deviation(1.0 + relative_to_terms(size))
    return (products, products, Deviation(1.0 + relative_to_terms(key.shape[-2])))


def _attention(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
) -> Sequence[Deviation | None]:
    error = Deviation(1.0 + relative_to_sum(inputs[1].shape[-2]))
    return (error, None, None, error)


ATTENTION = RoundingModel(_attention, _attended)


def _losses(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """How many losses are added."""
    return 1 if keywords.get("reduction", "mean") == "none" else int(inputs[1].size)


def _cross_entropy(
    keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]
) -> Sequence[Deviation]:
    losses = _losses(keywords, inputs)
    of_each = 1.0 + relative_to_sum(inputs[0].shape[1])
    summed = math.sqrt(losses) if keywords.get("reduction", "mean") == "sum" else 1.0
    return (Deviation(1.0 + relative_to_sum(losses), summed * of_each), Deviation(1.0, of_each))


LOG_LIKELIHOOD = sum_of(_losses)
CROSS_ENTROPY = RoundingModel(_cross_entropy)
