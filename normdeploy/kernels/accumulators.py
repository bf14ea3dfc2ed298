"""Sums of products whose running sum is kept in a short type, or made in another order.

A tensor core multiplies and adds a block of terms exactly, or nearly so, and adds the block to the running
sum, which it keeps in the accumulator's type: with float16 accumulators each block rounds to float16. PTX's
mma.m16n8k16 has blocks of 16 terms. That is what is emulated: blocks in float32, the running sum rounded
after each of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget
from normdeploy.dtypes import Array
from normdeploy.kernels.number_types import FLOAT16, FLOAT32, NumberType
from normdeploy.reference.windows import Windows

_COLUMN_BYTES = 8 * 2**20


class Accumulator:
    """How a kernel adds up products.

    Args:
        kept_in: the type of the running sum.
        block: terms that are added before the running sum is rounded.
        backwards: whether the last terms come first.
    """

    def __init__(self, kept_in: NumberType, block: int, backwards: bool = False) -> None:
        self._kept_in = kept_in
        self._block = block
        self._backwards = backwards

    def matmul(self, a: Array, b: Array) -> Array:
        """A · B, as MatMul has it.

        Args:
            a, b: the operands.
        """
        a, b = a.astype(np.float32), b.astype(np.float32)
        return self._sum(
            a.shape[-1],
            lambda terms: np.matmul(a[..., terms], b[terms] if b.ndim == 1 else b[..., terms, :]),
        )

    def gemm(
        self,
        a: Array,
        b: Array,
        c: Array | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,  # noqa: N803
        transB: int = 0,  # noqa: N803
    ) -> Array:
        """alpha · A' B' + beta · C, each step in the accumulator's type.

        Args:
            a, b, c, alpha, beta, transA, transB: as in ONNX.
        """
        y = self.matmul(a.T if transA else a, b.T if transB else b)
        if alpha != 1:
            y = self._kept_in.rounded(y * np.float64(alpha))
        return y if c is None else self._kept_in.rounded(y + c * beta)

    def conv(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        *,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> Array:
        """Cross-correlation: the terms of one place of the kernel after the other, its channels together.

        Args:
            x, w, b, auto_pad, dilations, group, kernel_shape, pads, strides: as in ONNX.
        """
        windows = Windows.of(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
        n, m, rank = x.shape[0], w.shape[0], x.ndim - 2
        y = np.empty((n, group, m // group, *windows.outputs))
        # (M, C / group, *kernel) -> (group, M / group, kernel · C / group)
        by_place = w.reshape(group, m // group, w.shape[1], -1).transpose(0, 1, 3, 2)
        weights = by_place.reshape(group, m // group, -1).astype(np.float32)
        # (N, C, *outputs, *kernel) -> (N, group, *kernel, C / group, *outputs)
        view = windows.view(windows.pad(x, 0).astype(np.float32))
        view = view.reshape(n, group, -1, *view.shape[2:]) if group > 1 else view[:, None]
        view = view.transpose(0, 1, *range(3 + rank, 3 + 2 * rank), 2, *range(3, 3 + rank))
        for item, rows in _pieces(n, windows.outputs, group * weights.shape[-1]):
            check_budget()
            piece: tuple[Any, ...] = (item, ..., rows, *[slice(None)] * (rank - 1))
            columns = view[piece].reshape(group, weights.shape[-1], -1)
            sums = self._product(weights, columns)
            y[item, :, :, rows] = sums.reshape(group, m // group, -1, *windows.outputs[1:])
        y = y.reshape(n, m, *windows.outputs)
        return y if b is None else self._kept_in.rounded(y + b.reshape(-1, *[1] * rank))

    def _product(self, weights: Array, columns: Array) -> Array:
        return self._sum(weights.shape[-1], lambda terms: np.matmul(weights[..., terms], columns[:, terms]))

    def _sum(self, depth: int, block: Callable[[slice], Any]) -> Array:
        """The running sum over blocks, in float64."""
        blocks = [slice(start, start + self._block) for start in range(0, depth, self._block)]
        if self._backwards:
            blocks.reverse()
        total: Any = block(slice(0, 0))  # zeros of the right shape
        for terms in blocks:
            total = self._kept_in.rounded(np.asarray(total + block(terms)))
        return np.asarray(total, np.float64)


def _pieces(items: int, positions: Sequence[int], depth: int) -> Iterator[tuple[int, slice]]:
    """Items and ranges of rows (the first spatial axis) whose columns fit into the buffer."""
    row = max(1, depth * math.prod(positions[1:]) * 4)
    rows = min(max(1, _COLUMN_BYTES // row), max(1, positions[0]))
    for item, start in itertools.product(range(items), range(0, positions[0], rows)):
        yield item, slice(start, min(start + rows, positions[0]))


HALF = Accumulator(FLOAT16, 16)
"""Of a tensor core with float16 accumulators."""

BACKWARDS = Accumulator(FLOAT32, 32, backwards=True)
"""float32 accumulators, the last 32 terms first."""
