"""Rare operators that onnx's own reference evaluator computes, in float64 as well.

Each is here because all its ONNX node tests pass that way. An operator with an implementation of its own
does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from normdeploy.budget import memory_kept, require_memory
from normdeploy.dtypes import Array
from normdeploy.reference import rounding_of_delegated as rounding
from normdeploy.reference.rounding_model import EXACT, RoundingModel
from normdeploy.reference.signature import ReferenceOperator

DELEGATED: Mapping[str, RoundingModel] = {
    "AffineGrid": rounding.AFFINE_GRID,
    "Attention": rounding.ATTENTION,
    "CausalConvWithState": rounding.CAUSAL_CONV,
    "CenterCropPad": EXACT,
    "Col2Im": rounding.COL2IM,
    "ConvInteger": EXACT,
    "DFT": rounding.DFT,
    "DeformConv": rounding.DEFORM_CONV,
    "LinearAttention": rounding.LINEAR_ATTENTION,
    "MatMulInteger": EXACT,
    "MaxUnpool": EXACT,
    "NegativeLogLikelihoodLoss": rounding.LOG_LIKELIHOOD,
    "RoiAlign": rounding.ROI_ALIGN,
    "RotaryEmbedding": rounding.ROTARY_EMBEDDING,
    "SoftmaxCrossEntropyLoss": rounding.CROSS_ENTROPY,
    "SwiGLU": rounding.SWIGLU,
    "TensorScatter": EXACT,
}
"""Operators of the default domain, each with its rounding model."""


def delegated(op_type: str, opset: int) -> ReferenceOperator | None:
    """One of `DELEGATED`, as it is in an opset version; None where it does not exist yet."""
    if op_type not in DELEGATED or not onnx.defs.has(op_type):
        return None
    schema = onnx.defs.get_schema(op_type)
    if schema.since_version > opset:
        try:
            schema = onnx.defs.get_schema(op_type, opset)
        except onnx.defs.SchemaError:
            return None

    def compute(*inputs: Array | None, n_outputs: int, **attributes: Any) -> Sequence[Array]:
        return _run_single_node(op_type, opset, inputs, n_outputs, attributes)

    return ReferenceOperator(
        op_type, "", schema.since_version, compute, frozenset(schema.attributes), True, DELEGATED[op_type]
    )


def _run_single_node(
    op_type: str, opset: int, inputs: Sequence[Array | None], n_outputs: int, attributes: dict[str, Any]
) -> Sequence[Array]:
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(n_outputs)]
    feeds = {name: x for name, x in zip(names, inputs, strict=True) if x is not None}
    graph = helper.make_graph(
        [helper.make_node(op_type, names, outputs, **attributes)],
        op_type,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in feeds.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    _require_memory(model, feeds)
    with memory_kept():
        results: Any = ReferenceEvaluator(model).run(None, feeds)
    return [np.asarray(result) for result in results]


_FEW = 64
"""Elements of an input that may be sizes."""


def _require_memory(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
    """Refuse outputs that are too large, as far as ONNX infers their shapes from the inputs."""
    known = onnx.ModelProto()
    known.CopyFrom(model)
    known.graph.initializer.extend(
        numpy_helper.from_array(x, name)
        for name, x in feeds.items()
        if x.dtype.kind in "iu" and x.size <= _FEW
    )
    for output in onnx.shape_inference.infer_shapes(known).graph.output:
        dims = output.type.tensor_type.shape.dim
        require_memory([dim.dim_value if dim.HasField("dim_value") else 1 for dim in dims], 1)
