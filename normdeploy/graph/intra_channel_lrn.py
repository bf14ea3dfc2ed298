"""The operator `normdeploy.IntraChannelLRN` in ONNX: its node, and its body of standard operators."""

from __future__ import annotations

import functools

import onnx.parser
import onnx_ir as ir

from normdeploy.errors import ModelError
from normdeploy.graph.opsets import standard_opset
from normdeploy.graph.scopes import located_nodes
from normdeploy.lrn import LRN

DOMAIN = "normdeploy"
VERSION = 1
INTRA_CHANNEL_LRN = "IntraChannelLRN"
MINIMUM_OPSET = 15
"""CastLike, which the body needs, entered the standard there."""

_BODY = """
<domain: "normdeploy", opset_import: ["" : {opset}]>
IntraChannelLRN <size, alpha, beta, bias> (X) => (Y)
{{
    x = Cast <to = 1> (X)
    square = Mul (x, x)
    shape = Shape (square)
    spatial = Shape <start = 2> (square)
    one_channel = Constant <value_ints = [-1, 1]> ()
    planes_shape = Concat <axis = 0> (one_channel, spatial)
    planes = Reshape (square, planes_shape)

    size_value = Constant <value_int: int = @size> ()
    spatial_rank = Shape (spatial)
    extent = Expand (size_value, spatial_rank)
    filter_channels = Constant <value_ints = [1, 1]> ()
    window_shape = Concat <axis = 0> (filter_channels, extent)
    window = ConstantOfShape <value = float[1] {{1.0}}> (window_shape)
    plane_sums = Conv <auto_pad = "SAME_LOWER"> (planes, window)
    sums = Reshape (plane_sums, shape)

    count_int = ReduceProd <keepdims = 0> (window_shape)
    count = Cast <to = 1> (count_int)
    alpha_value = Constant <value_float: float = @alpha> ()
    beta_value = Constant <value_float: float = @beta> ()
    bias_value = Constant <value_float: float = @bias> ()
    alpha_sum = Div (alpha_value, count)
    scaled = Mul (sums, alpha_sum)
    base = Add (scaled, bias_value)
    denominator = Pow (base, beta_value)
    y = Div (x, denominator)
    Y = CastLike (y, X)
}}
"""
# Y = X / (bias + alpha / size^axes · sum)^beta in float32, whatever the type of X.
# The window sum is a convolution of each plane with ones: one body serves every size, even ones too
# (SAME_LOWER puts the extra element in front: [−size/2, size/2 − 1]), every spatial rank and dynamic
# shapes. Bodies that pool would need `size` in kernel_shape and pads, where TensorRT's parser reads an
# attribute reference as empty; and it takes one body for all nodes of a name, whatever their overload.


@functools.cache
def _parsed_body(opset: int) -> onnx.FunctionProto:
    return onnx.parser.parse_function(_BODY.format(opset=opset))


def add_function(model: ir.Model) -> None:
    """Give the model the operator's body and import its domain.

    Raises:
        ModelError: the model's opset is too old for the body.
    """
    opset = standard_opset(model.opset_imports)
    if opset < MINIMUM_OPSET:
        raise ModelError(f"{INTRA_CHANNEL_LRN} needs opset {MINIMUM_OPSET} or newer, the model has {opset}")
    function = ir.from_proto(_parsed_body(opset))
    model.functions[function.identifier()] = function
    model.opset_imports[DOMAIN] = VERSION


def match_function(model: ir.Model) -> None:
    """Give the model the operator's body if it uses the operator, and take it away if it does not.

    A body that the model has is left as it is, and a model whose opset is too old gets none.
    """
    used = any((node.domain, node.op_type) == (DOMAIN, INTRA_CHANNEL_LRN) for node, _ in located_nodes(model))
    bodies = [function for function in model.functions.values() if function.domain == DOMAIN]
    if used and not bodies and standard_opset(model.opset_imports) >= MINIMUM_OPSET:
        add_function(model)
    if not used:
        for function in bodies:
            del model.functions[function.identifier()]
        model.opset_imports.pop(DOMAIN, None)


def intra_channel_lrn(x: ir.Value, spec: LRN, axes: int, name: str | None = None) -> ir.Node:
    """A node of the operator.

    Args:
        x: its input, (N, C, D1, ...).
        spec: a normalization within a channel.
        axes: number of spatial axes of x.
        name: of the node.

    Raises:
        ConventionError: a window that no size of the operator has.
    """
    spec = spec.to("torch", axes=axes)
    attributes = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
    return ir.node(INTRA_CHANNEL_LRN, [x], attributes, domain=DOMAIN, version=VERSION, name=name)
