"""The domain of onnxruntime's nodes whose layout an execution provider has changed: channels are last.

A file that is saved after such a provider (CUDA, XNNPACK, WebGPU, QNN) has taken its nodes holds standard
operators under the domain `com.ms.internal.nhwc`. The first input and the output are (N, *sizes, C); every
other input, filters included, is as the standard has it. A Resize names all axes anyway, so that it is the
standard's. onnxruntime fuses an activation into some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnx_ir as ir

from normdeploy.reference.composition import OPSET, BodyWriter, Composition
from normdeploy.reference.fused import DOMAIN as OWN
from normdeploy.reference.fused import activated
from normdeploy.reference.nhwc import channels_first, channels_last

DOMAIN = "com.ms.internal.nhwc"

_WITH_ACTIVATION = (
    *("AveragePool", "BatchNormalization", "Conv", "ConvTranspose"),
    *("InstanceNormalization", "MaxPool"),
)
_MOVED = (
    *_WITH_ACTIVATION,
    *("DepthToSpace", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"),
    *("GridSample", "LRN", "LpPool", "SpaceToDepth"),
)
_OWN_ATTRIBUTE = ("QLinearAveragePool", "QLinearConv", "QLinearGlobalAveragePool")
"""Operators of onnxruntime that have an attribute for the layout."""


def _moved(op_type: str) -> Composition:
    """The standard operator between two moves of its channels."""

    def function(
        write: BodyWriter,
        x: ir.Value,
        *others: ir.Value | None,
        n_outputs: int,
        activation: str = "",
        activation_params: Sequence[float] = (),
        **attributes: Any,
    ) -> ir.Value:
        """The standard's operator of (N, *sizes, C)."""
        if n_outputs > 1:
            raise NotImplementedError("outputs beside the first with channels last")
        y = write(op_type, channels_first(write, x), *others, **attributes)
        return channels_last(write, activated(write, y, activation, activation_params))

    extra = {"activation", "activation_params"} if op_type in _WITH_ACTIVATION else set()
    return Composition(op_type, DOMAIN, function, frozenset(_attributes(op_type) | extra), True)


def _with_own_attribute(op_type: str) -> Composition:
    """onnxruntime's operator, told that channels are last."""

    def function(write: BodyWriter, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """onnxruntime's operator of (N, *sizes, C)."""
        return write(op_type, *inputs, domain=OWN, **{**attributes, "channels_last": 1})

    attributes = _attributes("QLinearConv" if op_type == "QLinearConv" else "AveragePool")
    return Composition(op_type, DOMAIN, function, frozenset(attributes | {"channels_last"}), False)


def _resize() -> Composition:
    def function(write: BodyWriter, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """The standard's, whose scales and sizes are of (N, *sizes, C), too."""
        return write("Resize", *inputs, **attributes)

    return Composition("Resize", DOMAIN, function, frozenset(_attributes("Resize")), False)


def _attributes(op_type: str) -> set[str]:
    return set(onnx.defs.get_schema(op_type, OPSET).attributes)


COMPOSITIONS = [*map(_moved, _MOVED), *map(_with_own_attribute, _OWN_ATTRIBUTE), _resize()]
"""Those that execution providers ask for."""
