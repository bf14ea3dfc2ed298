"""The scale by which onnxruntime quantizes a softmax: the whole part of its inverse.

onnxruntime runs DequantizeLinear, Softmax and QuantizeLinear in one kernel, QLinearSoftmax, which takes
⌊1 / scale⌋ for 1 / scale, both in float32. A scale of 1/255 in float32 has the inverse 254.99998, and becomes
1/254: every probability above a half is a step lower. A runtime without that kernel does not, so rounding is
drawn with either scale; measured in tests/reference/test_quantized_softmax.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array


def quantizes_softmax(node: ir.Node) -> bool:
    """Whether a node is the last of a DequantizeLinear, a Softmax and a QuantizeLinear.

    Args:
        node: any; its scale is a second input then.
    """
    if node.op_type != "QuantizeLinear":
        return False
    softmax = _producer(node)
    if softmax is not None and softmax.op_type == "Reshape":  # of old opsets, which flatten
        softmax = _producer(softmax)
    if softmax is None or softmax.op_type != "Softmax":
        return False
    before = _producer(softmax)
    if before is not None and before.op_type == "Flatten":
        before = _producer(before)
    return before is not None and before.op_type == "DequantizeLinear"


def with_whole_inverse(arguments: Sequence[Array | None]) -> list[Array | None]:
    """The inputs of a QuantizeLinear, with the scale that the kernel makes of its own.

    Args:
        arguments: x, scale and what else there is. A scale above 1 has no such whole part, and stays.
    """
    x, scale, *others = arguments
    if scale is None or np.any(scale > 1) or np.any(scale <= 0):
        return list(arguments)
    return [x, 1 / np.floor(np.float32(1) / scale.astype(np.float32)).astype(np.float64), *others]


def _producer(node: ir.Node) -> ir.Node | None:
    value = node.inputs[0] if node.inputs else None
    return None if value is None else value.producer()
