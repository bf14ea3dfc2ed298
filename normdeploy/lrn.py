"""Local Response Normalization: what it is, in every framework's terms, and its NumPy definition.

Across channels (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012)::

    b[i, x, y] = a[i, x, y] / (k + α · Σ_{j = max(0, i−n/2)}^{min(N−1, i+n/2)} a[j, x, y]²) ^ β

Within a channel the sum runs over the square of pixels around (x, y) in the same channel. Zeros stand
outside the border; the divisor never shrinks there. (k, α, β, n) are constants, not trained.

This is the "paper" convention. Frameworks disagree with it and with each other on two things only: whether
α multiplies the sum or the mean of the window's squares, and where the window of an even size lies. Both
are a `Convention`.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from normdeploy.dtypes import is_floating
from normdeploy.errors import ConventionError, InputError, UsageError

Region = Literal["across", "within"]
Convention = Literal["paper", "onnx", "torch"]
"""How `size` and `alpha` are meant.

========= ================ =============================== ================================
name      α multiplies     window of an even size n        also used by
========= ================ =============================== ================================
paper     the sum          [−n/2, n/2], n + 1 wide         TensorFlow (odd n)
onnx      the mean         [−(n/2 − 1), n/2]               ONNX LRN, onnxruntime
torch     the mean         [−n/2, n/2 − 1]                 IntraChannelLRN, ncnn; Caffe (odd n)
========= ================ =============================== ================================

All place the window of an odd size at [−(n−1)/2, (n−1)/2].
"""

_REGIONS = ("across", "within")
_CONVENTIONS = ("paper", "onnx", "torch")


@dataclass(frozen=True)
class LRN:
    """One Local Response Normalization, by default with the convention and the numbers of the AlexNet paper.

    Args:
        size: n, the window's extent along each normalized axis, at least 1.
        alpha: factor on the sum (paper) or on the mean (onnx, torch) of the window's squares.
        beta: exponent of the denominator.
        k: constant in the denominator; 0 is allowed.
        region: "across" channels, or "within" a channel over all spatial axes.
        convention: see `Convention`.

    Raises:
        UsageError: a size below 1, a parameter that is not finite, an unknown region or convention.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    region: Region = "across"
    convention: Convention = "paper"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "size", operator.index(self.size))
        except TypeError as error:
            raise UsageError(f"LRN size must be an integer, got {self.size!r}") from error
        if self.size < 1:
            raise UsageError(f"LRN size must be at least 1, got {self.size}")
        for name in ("alpha", "beta", "k"):
            value = float(getattr(self, name))
            if not math.isfinite(value):
                raise UsageError(f"LRN {name} must be finite, got {value}")
            object.__setattr__(self, name, value)
        if self.region not in _REGIONS:
            raise UsageError(f"LRN region must be one of {_REGIONS}, got {self.region!r}")
        if self.convention not in _CONVENTIONS:
            raise UsageError(f"LRN convention must be one of {_CONVENTIONS}, got {self.convention!r}")

    @property
    def window(self) -> tuple[int, int]:
        """How far the window reaches before and after the element, along each normalized axis."""
        half = self.size // 2
        if self.convention == "paper":
            return half, half
        short = (self.size - 1) // 2
        return (short, half) if self.convention == "onnx" else (half, short)

    @property
    def alpha_sum(self) -> float:
        """The factor on the plain sum of squares: one axis across channels, two within a channel."""
        return self.alpha_sum_over(1 if self.region == "across" else 2)

    def alpha_sum_over(self, axes: int) -> float:
        """The factor on the plain sum of squares, for a window of any number of axes.

        Args:
            axes: how many; within a channel of a tensor of rank r, r − 2.
        """
        return self.alpha if self.convention == "paper" else self.alpha / self.size**axes

    def to(self, convention: Convention, *, axes: int | None = None) -> LRN:
        """The same computation in another convention.

        Args:
            convention: the one wanted.
            axes: how many axes the window spans; by default 1 across, 2 within.

        Raises:
            ConventionError: no size in that convention has this window.
        """
        before, after = self.window
        size = before + after + 1
        span = axes or (1 if self.region == "across" else 2)
        alpha = self.alpha_sum_over(span) * (1 if convention == "paper" else size**span)
        other = LRN(size, alpha, self.beta, self.k, self.region, convention)
        if other.window != self.window:
            raise ConventionError(
                f"no {convention} size has the window [-{before}, {after}] "
                f"of size {self.size} in the {self.convention} convention"
            )
        return other

    @classmethod
    def from_torch(cls, module: Any) -> LRN:
        """The definition of a torch module.

        Args:
            module: torch.nn.LocalResponseNorm, or normdeploy.torch.IntraChannelLRN.
        """
        region: Region = getattr(module, "region", "across")
        return cls(module.size, module.alpha, module.beta, module.k, region, "torch")

    @classmethod
    def from_onnx(cls, node: Any) -> LRN:
        """The definition of an ONNX node, with the standard's defaults.

        Args:
            node: LRN or normdeploy.IntraChannelLRN, as an onnx.NodeProto or an onnx_ir.Node.

        Raises:
            ConventionError: another operator, or no `size`.
        """
        if node.op_type not in ("LRN", "IntraChannelLRN"):
            raise ConventionError(f"node '{node.name}' is {node.op_type}, not LRN or IntraChannelLRN")
        attributes = _attributes(node)
        if "size" not in attributes:
            raise ConventionError(f"node '{node.name}' ({node.op_type}) has no attribute 'size'")
        across = node.op_type == "LRN"
        return cls(
            attributes["size"],
            attributes.get("alpha", 1e-4),
            attributes.get("beta", 0.75),
            attributes.get("bias", 1.0),
            "across" if across else "within",
            "onnx" if across else "torch",
        )

    @classmethod
    def from_caffe(
        cls,
        local_size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        k: float = 1.0,
        norm_region: str | int = "ACROSS_CHANNELS",
    ) -> LRN:
        """The definition of Caffe's layer, with the defaults of its lrn_param.

        Args:
            local_size, alpha, beta, k: as in lrn_param. Within a channel Caffe ignores k and computes with 1,
                and so does this, with a warning.
            norm_region: ACROSS_CHANNELS (0) or WITHIN_CHANNEL (1).

        Raises:
            ConventionError: an even local_size, which Caffe refuses too, or another norm_region.
        """
        if local_size % 2 == 0:
            raise ConventionError(f"Caffe takes an odd local_size only, got {local_size}")
        regions: dict[str | int, Region] = {
            "ACROSS_CHANNELS": "across",
            0: "across",
            "WITHIN_CHANNEL": "within",
            1: "within",
        }
        if norm_region not in regions:
            raise ConventionError(f"norm_region is ACROSS_CHANNELS or WITHIN_CHANNEL, got {norm_region!r}")
        region = regions[norm_region]
        if region == "within" and k != 1:
            warnings.warn(f"Caffe ignores k = {k} within a channel and computes with k = 1", stacklevel=2)
            k = 1.0
        return cls(local_size, alpha, beta, k, region, "torch")

    @classmethod
    def from_tensorflow(
        cls, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
    ) -> LRN:
        """The definition of tf.nn.local_response_normalization, with its defaults.

        Args:
            depth_radius: of the window, 2 · depth_radius + 1 channels.
            bias: k.
            alpha, beta: as in the paper.
        """
        return cls(2 * depth_radius + 1, alpha, beta, bias, "across", "paper")


def _attributes(node: Any) -> Mapping[str, Any]:
    if hasattr(node, "attributes"):
        return {name: attribute.value for name, attribute in node.attributes.items()}
    return {item.name: item.i if item.name == "size" else item.f for item in node.attribute}


def lrn(x: NDArray[Any], spec: LRN) -> NDArray[Any]:
    """Local Response Normalization of x, computed in float64.

    The cost does not depend on the window's size. NaN and infinities reach exactly the elements whose
    window holds them, as IEEE 754 says: x = ∞ gives ∞/∞ = NaN at its own place (β > 0) and 0 beside it.

    Args:
        x: shape (N, C, D1, ...), rank 3 or more, float16 to float64 or bfloat16.
        spec: the parameters.

    Returns:
        An array of the shape and type of x.

    Raises:
        InputError: rank below 3, or not a floating type.
    """
    x = np.asarray(x)
    if x.ndim < 3:
        raise InputError(f"LRN takes (N, C, D1, ...), rank 3 or more; got shape {x.shape}")
    wide = as_float64(x, "LRN")
    axes = (1,) if spec.region == "across" else tuple(range(2, x.ndim))
    with np.errstate(all="ignore"):
        sums = np.square(wide)
        for axis in axes:
            sums = window_sum(sums, axis, *spec.window)
        sums *= spec.alpha_sum_over(len(axes))
        sums += spec.k
        if spec.beta != 1:
            np.power(sums, spec.beta, out=sums)
        return np.divide(wide, sums, out=sums).astype(x.dtype)


def as_float64(x: NDArray[Any], what: str) -> NDArray[np.float64]:
    """An array in float64.

    Args:
        x: of a floating type, bfloat16 and the like included.
        what: takes the array; for the message.

    Raises:
        InputError: another type.
    """
    if not is_floating(x.dtype):
        raise InputError(f"{what} takes floating-point arrays, got {x.dtype}")
    return x.astype(np.float64, copy=False)


def window_sum(x: NDArray[np.float64], axis: int, before: int, after: int) -> NDArray[np.float64]:
    """Sums over [i − before, i + after] along an axis, with zeros outside; O(1) per element.

    The axis is cut into blocks as long as the window. A window then covers the end of one block and the
    beginning of the next: running sums from each block's two ends give it by one addition (van Herk 1992,
    Gil & Werman 1993). Unlike differences of one long running sum this cancels nothing and keeps NaN and
    infinities in their windows.

    Args:
        x: of any shape.
        axis: along which.
        before, after: how far the window reaches, 0 or more.

    Returns:
        An array of the shape of x.
    """
    length = x.shape[axis]
    if length == 0:
        return x
    before, after = min(before, length - 1), min(after, length - 1)
    width = before + after + 1
    if width == 1:
        return x.copy()
    blocks = (length - 1) // width + 2
    padding = [(0, 0)] * x.ndim
    padding[axis] = (before, blocks * width - length - before)
    padded = np.pad(x, padding)
    blocked = padded.reshape(*x.shape[:axis], blocks, width, *x.shape[axis + 1 :])
    along = axis + 1

    to_end = np.flip(np.cumsum(np.flip(blocked, along), axis=along), along)
    from_start = np.zeros_like(blocked)  # exclusive: the sum of what stands before the element in its block
    np.cumsum(_slice(blocked, along, 0, -1), axis=along, out=_slice(from_start, along, 1, None))

    sums = _slice(to_end.reshape(padded.shape), axis, 0, length).copy()
    sums += _slice(from_start.reshape(padded.shape), axis, width, width + length)
    return sums


def _slice(x: NDArray[Any], axis: int, start: int, stop: int | None) -> NDArray[Any]:
    return x[(slice(None),) * axis + (slice(start, stop),)]
