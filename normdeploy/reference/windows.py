"""Sliding windows over the spatial axes, as convolutions and pools share them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array


@dataclass(frozen=True)
class Windows:
    """Where the windows of a kernel lie on the spatial axes of an input; one entry per axis."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(
        cls,
        sizes: Sequence[int],
        kernel: Sequence[int],
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
    ) -> Windows:
        """From ONNX's attributes: pads are all beginnings, then all ends."""
        rank = len(sizes)
        strides = tuple(strides or [1] * rank)
        dilations = tuple(dilations or [1] * rank)
        pads = tuple(pads or [0] * 2 * rank)
        if not len(kernel) == len(strides) == len(dilations) == len(pads) / 2 == rank:
            raise ValueError(
                f"kernel {tuple(kernel)}, strides, dilations or pads do not fit {rank} spatial axes"
            )
        if min((*kernel, *strides, *dilations), default=1) < 1:
            raise ValueError("kernel sizes, strides and dilations must be at least 1")
        before, after, outputs = [], [], []
        for axis, size in enumerate(sizes):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            stride = strides[axis]
            if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
                count = -(-size // stride)
                total = max((count - 1) * stride + reach - size, 0)
                begin = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
                end = total - begin
            else:
                begin, end = (0, 0) if auto_pad == "VALID" else (pads[axis], pads[axis + rank])
                span = size + begin + end - reach
                count = max(span // stride + 1, 0)
                # ceil_mode has one window more, unless it would begin past the input
                count += bool(ceil_mode and span % stride and count * stride < size + begin)
            before.append(begin)
            after.append(end)
            outputs.append(count)
        return cls(
            tuple(sizes), tuple(kernel), strides, dilations, tuple(before), tuple(after), tuple(outputs)
        )

    @property
    def reach(self) -> tuple[int, ...]:
        """The extent of one window."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def pad(self, x: Array, value: float) -> Array:
        """x (N, C, *sizes) with the border that the windows need, cropped where pads are negative."""
        needed = [(o - 1) * s + r for o, s, r in zip(self.outputs, self.strides, self.reach, strict=True)]
        if not any(self.before) and all(n <= size for n, size in zip(needed, self.sizes, strict=True)):
            return x
        require_memory((*x.shape[:2], *needed))
        padded = np.full((*x.shape[:2], *needed), value, dtype=x.dtype)
        to, source = [slice(None), slice(None)], [slice(None), slice(None)]
        for size, begin, total in zip(self.sizes, self.before, needed, strict=True):
            length = max(min(size, total - begin) - max(0, -begin), 0)
            source.append(slice(max(0, -begin), max(0, -begin) + length))
            to.append(slice(max(0, begin), max(0, begin) + length))
        padded[tuple(to)] = x[tuple(source)]
        return padded

    def view(self, padded: Array) -> Array:
        """All windows without a copy: (N, C, *outputs, *kernel)."""
        rank = len(self.sizes)
        windows = sliding_window_view(padded, self.reach, axis=tuple(range(2, 2 + rank)))
        picked = [slice(None, (o - 1) * s + 1, s) for o, s in zip(self.outputs, self.strides, strict=True)]
        taps = [slice(None, None, d) for d in self.dilations]
        return windows[(slice(None), slice(None), *picked, *taps)]

    def taps(self, axis: int, offset: int) -> slice:
        """Along a spatial axis of the padded input: the elements at `offset` of every window."""
        begin = offset * self.dilations[axis]
        return slice(begin, begin + (self.outputs[axis] - 1) * self.strides[axis] + 1, self.strides[axis])

    def counts(self, include_pad: bool) -> Array:
        """How many elements of the input (and of its declared border) each window holds: (*outputs,)."""
        counts = np.ones(())
        for axis, size in enumerate(self.sizes):
            starts = np.arange(self.outputs[axis]) * self.strides[axis] - self.before[axis]
            low, high = (-self.before[axis], size + self.after[axis]) if include_pad else (0, size)
            inside = np.zeros(self.outputs[axis])
            for offset in range(0, self.reach[axis], self.dilations[axis]):
                inside += (starts + offset >= low) & (starts + offset < high)
            counts = np.multiply.outer(counts, inside)
        return counts

    @property
    def positions(self) -> int:
        """How many windows there are."""
        return math.prod(self.outputs)
