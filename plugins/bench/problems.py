"""The shapes, types and sizes that the plugin is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

SHAPES = ((64, 96, 55, 55), (64, 256, 27, 27), (32, 64, 112, 112), (8, 64, 224, 224))
TYPES = ("float32", "float16", "bfloat16")
SIZES = (3, 5, 7, 15)
LAYOUTS = ("NCHW", "NHWC")
"""NHWC is TensorRT's kHWC for float32 and kHWC8 for the others; all channels here are multiples of 8."""


@dataclass(frozen=True)
class Problem:
    """One call of the operator."""

    shape: tuple[int, int, int, int]
    type: str
    size: int
    layout: str

    @property
    def element_bytes(self) -> int:
        """Size of an element."""
        return 4 if self.type == "float32" else 2

    @property
    def elements(self) -> int:
        """Number of elements."""
        batch, channels, height, width = self.shape
        return batch * channels * height * width

    def kernel_shape(self) -> tuple[int, ...]:
        """For the C++ side: type, outer, depth, height, width, channels, channel pitch, axes, size."""
        batch, channels, height, width = self.shape
        outer, inner = (batch * channels, 1) if self.layout == "NCHW" else (batch, channels)
        return TYPES.index(self.type), outer, 1, height, width, inner, inner, 2, self.size


def all_problems(layouts: tuple[str, ...] = LAYOUTS) -> list[Problem]:
    """Every shape with every type, size and layout."""
    return [Problem(*parts) for parts in product(SHAPES, TYPES, SIZES, layouts)]
