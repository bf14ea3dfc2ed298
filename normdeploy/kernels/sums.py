"""Sums whose running sum is kept in a short type, one term after the other: reductions, pools, softmax.

A term that is added to a sum 2ᵖ times as large, with p bits of significand, is lost: ones in float16 add up
to 2048 and no further. Kernels with several running sums side by side lose less, those with one lose this.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget
from normdeploy.dtypes import Array
from normdeploy.kernels.number_types import NumberType
from normdeploy.reference.windows import Windows


def running_sum(terms: Array, axis: int, kept_in: NumberType, backwards: bool = False) -> Array:
    """The sum along an axis, which goes, rounded after each term.

    Args:
        terms: numbers of the type.
        axis: along which.
        kept_in: the type of the sum.
        backwards: whether the last term comes first.
    """
    terms = np.moveaxis(terms, axis, 0)
    total = np.zeros(terms.shape[1:])
    for term in terms[::-1] if backwards else terms:
        check_budget()
        total = kept_in.rounded(np.asarray(total + term))
    return total


def reduction(op_type: str, x: Array, kept: Array, axes: Sequence[int], kept_in: NumberType) -> Array:
    """ReduceSum and its kin, with every step in a short type.

    Args:
        op_type: one of `REDUCTIONS`.
        x: the input.
        kept: the result in float64, for its shape.
        axes: those that are summed.
        kept_in: the type of each step.
    """
    r = kept_in.rounded
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    terms = x.transpose(*axes, *rest).reshape(-1, *[x.shape[axis] for axis in rest])
    if op_type in ("ReduceSumSquare", "ReduceL2"):
        terms = r(np.square(terms))
    elif op_type == "ReduceL1":
        terms = np.abs(terms)
    y = running_sum(terms, 0, kept_in)
    if op_type in ("ReduceMean", "GlobalAveragePool"):
        y = r(y / max(len(terms), 1))
    elif op_type == "ReduceL2":
        y = r(np.sqrt(y))
    return y.reshape(kept.shape)


REDUCTIONS = ("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "GlobalAveragePool")


def reduced_axes(
    op_type: str, arguments: Sequence[Array | None], keywords: Mapping[str, Any]
) -> list[int] | None:
    """The axes of a reduction, from its attribute or its input; None where nothing is summed.

    Args:
        op_type: of the node.
        arguments, keywords: its inputs and attributes.
    """
    rank = arguments[0].ndim if arguments[0] is not None else 0
    if op_type == "GlobalAveragePool":
        return list(range(2, rank))
    axes = keywords.get("axes")
    if axes is None and len(arguments) > 1 and arguments[1] is not None:
        axes = arguments[1].tolist()
    if not axes:
        return None if keywords.get("noop_with_empty_axes") else list(range(rank))
    return sorted(axis % rank for axis in axes)


def average_pool(
    x: Array,
    kept_in: NumberType,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """The mean of each window, its elements added one after the other.

    Args:
        x: the input.
        kept_in: the type of each step.
        kernel_shape, auto_pad, ceil_mode, count_include_pad, dilations, pads, strides: as in ONNX.
    """
    windows = Windows.of(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    padded = windows.pad(x, 0)
    total = np.zeros((*x.shape[:2], *windows.outputs))
    for offsets in itertools.product(*map(range, windows.kernel)):
        taps = (windows.taps(axis, offset) for axis, offset in enumerate(offsets))
        total = kept_in.rounded(total + padded[(slice(None), slice(None), *taps)])
    return kept_in.rounded(total / windows.counts(bool(count_include_pad)))


def softmax(x: Array, axis: int, kept_in: NumberType, *, logarithm: bool) -> Array:
    """exp(x − max) / Σ exp(x − max), or its logarithm, with every step in a short type.

    Args:
        x: the input.
        axis: along which.
        kept_in: the type of each step.
        logarithm: whether it is LogSoftmax.
    """
    r = kept_in.rounded
    shifted = r(x - x.max(axis=axis, keepdims=True))
    powers = r(np.exp(shifted))
    total = np.expand_dims(running_sum(powers, axis, kept_in), axis)
    return r(shifted - r(np.log(total))) if logarithm else r(powers / total)
