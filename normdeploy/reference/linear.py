"""Matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import require_memory, require_time
from normdeploy.dtypes import Array, is_floating
from normdeploy.reference.repeated_terms import repeated_products
from normdeploy.reference.rounding_model import Deviation, Keywords, RoundingModel, sum_of
from normdeploy.reference.signature import operator


def _terms_of_gemm(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return int(inputs[0].shape[0 if keywords.get("transA", 0) else 1])


def _repeats_of_gemm(keywords: Keywords, inputs: Sequence[Any]) -> float | Array:
    a, b = inputs[:2]
    return repeated_products(a.T if keywords.get("transA", 0) else a, b.T if keywords.get("transB", 0) else b)


def _added_by_gemm(keywords: Keywords, inputs: Sequence[Any]) -> Array | None:
    c = inputs[2] if len(inputs) > 2 else None
    return None if c is None else np.asarray(c * keywords.get("beta", 1.0))


def _summed_by_gemm(keywords: Keywords, inputs: Sequence[Any]) -> Mapping[int, int]:
    return {0 if keywords.get("transA", 0) else 1: _terms_of_gemm(keywords, inputs)}


_GEMM_ROUNDING = sum_of(
    _terms_of_gemm, repeats=_repeats_of_gemm, added=_added_by_gemm, summed=_summed_by_gemm
)


@operator("Gemm", since=7, rounding=_GEMM_ROUNDING)
def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Array:
    """alpha · A' B' + beta · C; C broadcasts to the product's shape."""
    y = matmul(a.T if transA else a, b.T if transB else b)
    if alpha != 1:
        y = _scaled(y, alpha)
    if c is not None:
        y = y + (c if beta == 1 else _scaled(c, beta))
    return np.asarray(y)


def _terms_of_matmul(keywords: Keywords, inputs: Sequence[Any]) -> int:
    return int(inputs[0].shape[-1])


def _repeats_of_matmul(keywords: Keywords, inputs: Sequence[Any]) -> float | Array:
    return repeated_products(*inputs)


def _summed_by_matmul(keywords: Keywords, inputs: Sequence[Any]) -> Mapping[int, int]:
    return {inputs[0].ndim - 1: _terms_of_matmul(keywords, inputs)}


_MATMUL_ROUNDING = sum_of(_terms_of_matmul, repeats=_repeats_of_matmul, summed=_summed_by_matmul)


@operator("MatMul", since=1, rounding=_MATMUL_ROUNDING)
def matmul(a: Array, b: Array) -> Array:
    """A · B of the matrices in the last two axes; the axes before broadcast. Vectors as in NumPy."""
    if a.ndim and b.ndim:
        rows = a.shape[-2:-1]
        columns = b.shape[-1:] if b.ndim > 1 else ()
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *rows, *columns)
        dtype = np.result_type(a, b)
        require_memory(shape, dtype.itemsize)
        require_time(math.prod(shape) * a.shape[-1], matrices=is_floating(dtype))
    return np.asarray(np.matmul(a, b))


def _terms_of_einsum(keywords: Keywords, inputs: Sequence[Any]) -> int:
    """The sizes of the labels that the result lacks, multiplied; those behind an ellipsis it always has."""
    sizes, result = _labels(keywords["equation"], inputs)
    return math.prod(size for label, size in sizes.items() if label not in result)


def _labels(equation: str, inputs: Sequence[Any]) -> tuple[Mapping[str, int], str]:
    """The sizes of the labels, and those that the result has; without those behind an ellipsis."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for labels, array in zip(terms.split(","), inputs, strict=True):
        before, _, after = labels.partition("...")
        sizes |= zip(before, array.shape, strict=False)
        sizes |= zip(after[::-1], array.shape[::-1], strict=False)
    if not arrow:
        result = "".join(label for label in sizes if terms.count(label) == 1)
    return sizes, result


@operator("Einsum", since=12, rounding=sum_of(_terms_of_einsum))
def einsum(*inputs: Array, equation: str) -> Array:
    """Einstein's sum of products, over the labels that the equation leaves out of its result."""
    equation = equation.replace(" ", "")
    sizes, result = _labels(equation, inputs)
    require_memory([size for label, size in sizes.items() if label in result])
    path: Any = np.einsum_path(equation, *inputs, optimize="greedy")[0]
    _require_contractions(equation, path[1:], sizes, result)
    return np.asarray(np.einsum(equation, *inputs, optimize=path))


def _require_contractions(
    equation: str, path: Sequence[Sequence[int]], sizes: Mapping[str, int], result: str
) -> None:
    """Check that there is memory and time for each step of a product of several tensors.

    Args:
        equation: as Einsum has it.
        path: which of the tensors are multiplied; the product takes its place behind the others.
        sizes, result: of the labels, and those that the result has.
    """
    operands = [set(term) & set(sizes) for term in equation.partition("->")[0].split(",")]
    for step in path:
        taken = set().union(*(operands[index] for index in step))
        operands = [operand for index, operand in enumerate(operands) if index not in step]
        kept = taken & set(result).union(*operands)
        require_memory([sizes[label] for label in kept])
        require_time(math.prod(sizes[label] for label in taken), matrices=len(step) == 2)
        operands.append(kept)


def _pivots(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation]:
    """Elimination is exact for a matrix that differs by u·n times its largest elements (Higham, theorem 9.5).

    Those of a row: a scaled row leaves the pivots' order alone, and the determinant's relative error.
    """
    (x,) = inputs
    largest = np.abs(x).max(axis=(-2, -1), keepdims=True, initial=0.0)
    return (Deviation(absolute=0.5 * largest),)


_DET_ROUNDING = RoundingModel(
    lambda keywords, inputs, outputs: (Deviation(math.sqrt(inputs[0].shape[-1])),), _pivots
)


@operator("Det", since=11, rounding=_DET_ROUNDING)
def det(x: Array) -> Array:
    """The determinant of each matrix in the last two axes."""
    require_time(x.size * x.shape[-1] / 3)
    return np.asarray(np.linalg.det(x))


def _scaled(x: Array, factor: float) -> Array:
    """factor · x in x's own type."""
    return (x * factor).astype(x.dtype, copy=False)
