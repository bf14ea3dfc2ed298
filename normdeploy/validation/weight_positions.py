"""Where a number of a file stands as a weight, whose rounding moves results a little.

Elsewhere a constant is a parameter that says what is computed: an exponent, the scales of a Resize, a limit
or a threshold. Such a number is what it is: with a rounding in it, a square has NaN for negative numbers, and
a tensor another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import onnx_ir as ir

_EVERY = frozenset(range(64))

_WEIGHTS: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Sum", "Mean", "MatMul", "Gemm", "Einsum"), _EVERY),
    **dict.fromkeys(("FusedMatMul", "FusedGemm"), _EVERY),
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv", "NhwcConv"), frozenset({1, 2})),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization", "LayerNormalization"), frozenset({1, 2})),
    "DeformConv": frozenset({1, 3}),
    "BatchNormalization": frozenset({1, 2, 3, 4}),
    "RMSNormalization": frozenset({1}),
    "SimplifiedLayerNormalization": frozenset({1}),
    "SkipLayerNormalization": frozenset({2, 3, 4}),
    "SkipSimplifiedLayerNormalization": frozenset({2, 3}),
    "PRelu": frozenset({1}),
    "BiasGelu": frozenset({1}),
    "DequantizeLinear": frozenset({1}),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), frozenset({1, 2, 3, 5, 6, 7})),
    **dict.fromkeys(("Sqrt", "Reciprocal", "Exp", "Log", "Tanh", "Sigmoid", "Softplus", "Erf"), _EVERY),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceL2", "ReduceSumSquare", "Pow"), frozenset({0})),
}
"""Operator -> the inputs at which a number may be off by a rounding. A Pow's base may, its exponent not."""

_ADDENDS: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("Add", "Sub", "Sum"), _EVERY),
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv", "NhwcConv", "Gemm", "FusedGemm"), frozenset({2})),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization", "LayerNormalization"), frozenset({2})),
    "DeformConv": frozenset({3}),
    "BatchNormalization": frozenset({2, 3}),
    "SkipLayerNormalization": frozenset({3, 4}),
    "SkipSimplifiedLayerNormalization": frozenset({3}),
    "BiasGelu": frozenset({1}),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), frozenset({3})),
}
"""Operator -> those of them that are added to what the operator computes."""

_MOVES: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("Identity", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze"), frozenset({0})),
    **dict.fromkeys(("Unsqueeze", "Transpose", "Expand", "Tile", "Slice", "Split", "Pad"), frozenset({0})),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "Neg", "Abs"), frozenset({0})),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth", "ReorderInput"), frozenset({0})),
    "Concat": _EVERY,
    "Where": frozenset({1, 2}),
}
"""Operator -> the inputs whose numbers it hands on: what they are shows where its output is used."""

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "LRN": frozenset({"alpha", "beta", "bias"}),
    "IntraChannelLRN": frozenset({"alpha", "beta", "bias"}),
    "Gemm": frozenset({"alpha", "beta"}),
    **dict.fromkeys(("FusedMatMul", "TransposeMatMul"), frozenset({"alpha"})),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), frozenset({"epsilon"})),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "RMSNormalization"), frozenset({"epsilon"})),
    **dict.fromkeys(("LpNormalization", "MeanVarianceNormalization"), frozenset({"epsilon"})),
    **dict.fromkeys(("LeakyRelu", "Elu", "Celu", "HardSigmoid"), frozenset({"alpha", "beta"})),
    "Selu": frozenset({"alpha", "gamma"}),
}
"""Operator -> the attributes that may be off by a rounding."""


def weight_role(
    value: ir.Value, functions: Mapping[ir.OperatorIdentifier, ir.Function]
) -> Literal["weight", "addend"] | None:
    """What a tensor is used as, if it is a weight and nowhere a parameter: "addend" where it is only added.

    Args:
        value: of a graph or a function.
        functions: of the model.
    """
    roles: set[Literal["weight", "addend"]] = set()
    waiting, seen = [value], {value}
    while waiting:
        current = waiting.pop()
        if current.is_graph_output():
            roles.add("weight")
        for use in current.uses():
            node, index = use.node, use.idx
            function = functions.get(node.op_identifier())
            if reads_as_weight(node, index):
                roles.add("addend" if index in _ADDENDS.get(node.op_type, ()) else "weight")
                continue
            if function is not None:
                handed_on = [function.inputs[index]]
            elif index in _MOVES.get(node.op_type, ()):
                handed_on = list(node.outputs)
            else:
                return None
            waiting += [output for output in handed_on if output not in seen]
            seen.update(handed_on)
    return "weight" if "weight" in roles else "addend" if roles else None


def reads_as_weight(node: ir.Node, index: int) -> bool:
    """Whether a node takes what stands at one of its inputs as a weight, and not as a parameter."""
    return index in _WEIGHTS.get(node.op_type, ())


def weight_attributes(node: ir.Node) -> frozenset[str]:
    """The names of a node's attributes that are floating numbers and may be off by a rounding."""
    return frozenset(
        name
        for name in _ATTRIBUTES.get(node.op_type, ())
        if name in node.attributes
        and not node.attributes[name].is_ref()
        and node.attributes[name].type == ir.AttributeType.FLOAT
    )
