"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.signature import operator


@operator("Gemm", since=7)
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
    y = (a.T if transA else a) @ (b.T if transB else b)
    if alpha != 1:
        y = _scaled(y, alpha)
    if c is not None:
        y = y + (c if beta == 1 else _scaled(c, beta))
    return np.asarray(y)


@operator("MatMul", since=1)
def matmul(a: Array, b: Array) -> Array:
    return np.asarray(np.matmul(a, b))


@operator("Einsum", since=12)
def einsum(*inputs: Array, equation: str) -> Array:
    product: Any = np.einsum(equation.replace(" ", ""), *inputs, optimize=True)
    return np.asarray(product)


@operator("Det", since=11)
def det(x: Array) -> Array:
    """Of each matrix in the last two axes."""
    return np.asarray(np.linalg.det(x))


def _scaled(x: Array, factor: float) -> Array:
    """factor · x in x's own type."""
    return (x * factor).astype(x.dtype, copy=False)
