"""Graphs of standard operators that compute an LRN exactly.

y = x / base^β, base = k + a · Σ x² over a window, with a = `LRN.alpha_sum_over`. A form makes the base:

banded conv   across; 1×1 Conv of x² with W[i, j] = a where j is in the window of i, and the bias k: one pass
              over memory, C multiplications for each element
pool          across; x² as one channel (Unsqueeze), AveragePool of n along the channels, · α, + k
slices        across; Σ of n shifted slices of the padded x², · a, + k: any type, rank and dynamic shape
depthwise     within; Conv of each channel with a box of a, and the bias k
depthwise 1-D within; Conv of each channel with ones along one axis after the other, the last with a and k
no window     both, for n = 1; x² · a + k
pools         within; AveragePool along one axis after the other, · α, + k: any number of channels

The power then needs no Pow for β of ½, ¾ and 1: base^¾ = √base · √√base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.graph.edit import Editor
from normdeploy.graph.shapes import SLICE_TO_END
from normdeploy.lrn import LRN

QUOTIENT = ".quotient"
"""Ends the name of the division where a cast back to half precision follows and has the LRN's name."""


@dataclass(frozen=True)
class LoweringSite:
    """An LRN that is to be lowered: what it computes, and of which tensor.

    Args:
        x: its input, in the type that it is computed in.
        spec: what it computes.
        rank: of x.
        channels: how many x has; None where they are dynamic.
        dtype: of x.
    """

    x: ir.Value
    spec: LRN
    rank: int
    channels: int | None
    dtype: ir.DataType


class Emitter:
    """Puts nodes in front of the one that they replace, all named after it.

    Args:
        editor: of the graph.
        before: the node.
        prefix: of the new names.
        opset: the model's version of the standard operators.
    """

    def __init__(self, editor: Editor, before: ir.Node, prefix: str, opset: int) -> None:
        self._editor, self._before, self._prefix, self._opset = editor, before, prefix, opset
        self.names: list[str] = []

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        what: str,
        attributes: Mapping[str, Any] | None = None,
        shape: ir.Shape | None = None,
    ) -> ir.Value:
        """The result of a new node.

        Args:
            op_type: of the node.
            inputs: of the node; the result has the type of the first.
            what: the end of the node's and the result's name.
            attributes: of the node.
            shape: of the result; by default that of the first input.
        """
        name = self._editor.unique(f"{self._prefix}.{what}")
        node = ir.node(op_type, inputs, attributes or {}, name=name)
        result = node.outputs[0]
        result.name, result.type, result.shape = name, inputs[0].type, shape or inputs[0].shape
        self._editor.graph.insert_before(self._before, node)
        self.names.append(name)
        return result

    def constant(self, array: NDArray[Any], dtype: ir.DataType, what: str) -> ir.Value:
        """A new constant named prefix.what."""
        return self._editor.constant(f"{self._prefix}.{what}", array.astype(dtype.numpy()))

    def listed(
        self,
        op_type: str,
        x: ir.Value,
        what: str,
        since: int,
        shape: ir.Shape | None,
        **lists: Sequence[int],
    ) -> ir.Value:
        """The result of a new node whose lists of integers are inputs from opset `since` on, else attributes.

        Args:
            op_type, what, shape: see `node`.
            x: the node's first input.
            since: the version.
            lists: name -> integers.
        """
        if self._opset < since:
            return self.node(op_type, [x], what, lists, shape)
        inputs = [
            self.constant(np.array(numbers), ir.DataType.INT64, f"{what}.{name}")
            for name, numbers in lists.items()
        ]
        return self.node(op_type, [x, *inputs], what, None, shape)


def _scaled_and_shifted(emit: Emitter, site: LoweringSite, sums: ir.Value, scale: float) -> ir.Value:
    factor = emit.constant(np.array(scale), site.dtype, "alpha")
    scaled = emit.node("Mul", [sums, factor], "scaled")
    return emit.node("Add", [scaled, emit.constant(np.array(site.spec.k), site.dtype, "k")], "base")


def elementwise(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """The square of each element alone; a window of 1."""
    return _scaled_and_shifted(emit, site, squares, site.spec.alpha)


def banded_conv(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """One 1×1 convolution; static channels, float32, rank 3 to 5."""
    channels, spec = site.channels, site.spec
    assert channels is not None
    before, after = spec.window
    band = np.tri(channels, k=after) - np.tri(channels, k=-before - 1)  # (C, C)
    weight = (band * spec.alpha_sum_over(1)).reshape(channels, channels, *[1] * (site.rank - 2))
    kernel = emit.constant(weight, site.dtype, "band")
    return emit.node("Conv", [squares, kernel, _bias(emit, site)], "base")


def _bias(emit: Emitter, site: LoweringSite) -> ir.Value:
    assert site.channels is not None
    return emit.constant(np.full(site.channels, site.spec.k), site.dtype, "k")


def pool(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """An AveragePool along the channels; float32, rank 3 or 4."""
    spec = site.spec
    before, after = spec.window
    beside = [0] * (site.rank - 2)
    dims = list(site.x.shape or ())
    one_channel = ir.Shape([dims[0], 1, *dims[1:]])
    planes = emit.listed("Unsqueeze", squares, "planes", 13, one_channel, axes=[1])
    attributes = {
        "kernel_shape": [spec.size, *[1] * (site.rank - 2)],
        "pads": [before, *beside, after, *beside],
        "count_include_pad": 1,
    }
    means = emit.node("AveragePool", [planes], "means", attributes)
    mean = emit.listed("Squeeze", means, "mean", 13, site.x.shape, axes=[1])
    return _scaled_and_shifted(emit, site, mean, spec.alpha)


def slices(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """A sum of slices along the channels."""
    spec = site.spec
    before, after = spec.window
    beside = [0] * (site.rank - 2)
    dims = list(site.x.shape or ())
    extra = spec.size - 1
    if site.channels is not None:
        dims[1] = site.channels + extra
    elif extra:
        dims[1] = ir.SymbolicDim(f"{dims[1]} + {extra}")
    pads = [0, before, *beside, 0, after, *beside]
    padded = emit.listed("Pad", squares, "padded", 11, ir.Shape(dims), pads=pads)
    parts = []
    for start in range(spec.size):
        end = start + 1 - spec.size or SLICE_TO_END
        what = f"shift{start}"
        parts.append(
            emit.listed("Slice", padded, what, 10, site.x.shape, starts=[start], ends=[end], axes=[1])
        )
    return _scaled_and_shifted(emit, site, emit.node("Sum", parts, "sums"), spec.alpha_sum_over(1))


def depthwise(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """One convolution of each channel; static channels, float32."""
    axes, (before, after) = site.rank - 2, site.spec.window
    box = [site.spec.size] * axes
    weight = np.full([1, *box], site.spec.alpha_sum_over(axes))
    return _per_channel(emit, site, squares, weight, [before] * axes + [after] * axes, "window", last=True)


def depthwise_by_axis(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """A convolution of each channel along one spatial axis after the other; static channels, float32."""
    axes, value = site.rank - 2, squares
    for axis in range(axes):
        last = axis == axes - 1
        line = [site.spec.size if other == axis else 1 for other in range(axes)]
        weight = np.full([1, *line], site.spec.alpha_sum_over(axes) if last else 1.0)
        pads = _pads(axis, axes, *site.spec.window)
        value = _per_channel(emit, site, value, weight, pads, f"window{axis}", last=last)
    return value


def _per_channel(
    emit: Emitter,
    site: LoweringSite,
    value: ir.Value,
    weight: NDArray[np.float64],
    pads: Sequence[int],
    what: str,
    *,
    last: bool,
) -> ir.Value:
    """A convolution of each channel with one kernel, (1, k...); the last one adds k."""
    assert site.channels is not None
    kernel = emit.constant(np.stack([weight] * site.channels), site.dtype, what)  # (C, 1, k...)
    inputs = [value, kernel, *([_bias(emit, site)] if last else [])]
    attributes = {"group": site.channels, "pads": pads}
    return emit.node("Conv", inputs, "base" if last else f"{what}.sums", attributes)


def pools(emit: Emitter, site: LoweringSite, squares: ir.Value) -> ir.Value:
    """An AveragePool along one spatial axis after the other; float32."""
    spec, axes = site.spec, site.rank - 2
    value = squares
    for axis in range(axes):
        attributes = {
            "kernel_shape": [spec.size if other == axis else 1 for other in range(axes)],
            "pads": _pads(axis, axes, *spec.window),
            "count_include_pad": 1,
        }
        value = emit.node("AveragePool", [value], f"mean{axis}", attributes)
    return _scaled_and_shifted(emit, site, value, spec.alpha)


def _pads(axis: int, axes: int, before: int, after: int) -> list[int]:
    pads = [0] * (2 * axes)
    pads[axis], pads[axes + axis] = before, after
    return pads


Form = Callable[[Emitter, LoweringSite, ir.Value], ir.Value]
"""Puts the nodes of a form into the graph, which make the base of the squares; gives the base."""

NO_WINDOW: Mapping[str, Form] = {"no window": elementwise}
ACROSS: Mapping[str, Form] = {"banded Conv": banded_conv, "AveragePool": pool, "slices": slices}
WITHIN: Mapping[str, Form] = {
    "depthwise Conv": depthwise,
    "depthwise Conv by axis": depthwise_by_axis,
    "AveragePools": pools,
}
FORMS: Mapping[str, Form] = {**NO_WINDOW, **ACROSS, **WITHIN}
"""Every form by the name that reports give it."""


def applicable(site: LoweringSite) -> list[str]:
    """The forms that onnxruntime computes for a site; a later one asks no more than an earlier one."""
    if site.spec.window == (0, 0):
        return [*NO_WINDOW]
    forms = [*(ACROSS if site.spec.region == "across" else WITHIN)]
    if site.channels is None:
        forms = [form for form in forms if "Conv" not in form]
    if site.spec.region == "across" and (site.dtype != ir.DataType.FLOAT or site.rank > 5):
        return ["slices"]
    if site.spec.region == "across" and site.rank > 4:
        return [form for form in forms if form != "AveragePool"]
    return forms


def quotient(emit: Emitter, site: LoweringSite, base: ir.Value, name: str | None) -> ir.Node:
    """x / base^β.

    Args:
        emit: for the nodes that make the power.
        site: what is lowered.
        base: its base.
        name: of the division.

    Returns:
        The division, a node that is not in the graph yet.
    """
    beta = site.spec.beta
    if beta == 1:
        divisor = base
    elif beta in (0.5, 0.75):
        divisor = emit.node("Sqrt", [base], "root")
        if beta == 0.75:
            fourth = emit.node("Sqrt", [divisor], "fourth_root")
            divisor = emit.node("Mul", [divisor, fourth], "power")
    else:
        exponent = emit.constant(np.array(beta), site.dtype, "beta")
        divisor = emit.node("Pow", [base, exponent], "power")
    return ir.node("Div", [site.x, divisor], name=name)
