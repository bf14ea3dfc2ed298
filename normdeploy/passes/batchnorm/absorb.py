"""The layers that absorb an affine map y = a·x + b per channel into their parameters.

A map travels from where it stands to a layer that can compute it along with its own work. Upstream, against
the flow of data, it reaches the layer that makes x; that layer then makes y (`UPSTREAM`), for output
channels o::

    Conv           W'[o, ...] = a[o] · W[o, ...]                      B' = a·B + b
    ConvTranspose  W'[c, m, ...] = a[g·M/G + m] · W[c, m, ...]        B' = a·B + b      (c in group g of G)
    Gemm           α·A·B + β·C: B' = B · diag(a), C' = a·β·C + b, β' = 1
    MatMul         W' = W · diag(a); a Gemm with C = b where b is not 0
    BatchNorm      γ' = a·γ, β' = a·β + b

Downstream, with the flow of data, it reaches the layers that read y; each of them then reads x
(`DOWNSTREAM`), for input channels c::

    Conv           W'[o, c, ...] = W[o, c, ...] · a[c]                B'[o] = B[o] + Σ W[o, c, ...] · b[c]
    ConvTranspose  W'[c, ...] = a[c] · W[c, ...]                      only where b = 0
    Gemm           B' = diag(a) · B, C' = β·C + α·bᵀ·B, β' = 1
    MatMul         W' = diag(a) · W; a Gemm with C = bᵀ·W where b is not 0

Padding holds zeros where a·0 + b would have to stand, so a padded Conv takes no shift of what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.graph.edit import Editor
from normdeploy.graph.opsets import BROADCASTING_OPSET
from normdeploy.passes.batchnorm.affine import Affine, Array, read_batchnorm
from normdeploy.passes.batchnorm.fold_plan import (
    FoldPlan,
    describe,
    narrowed,
    scaled_weight,
    set_constant,
    set_float,
    wider_type,
)
from normdeploy.passes.report import Refused

Absorber = Callable[[FoldPlan, ir.Node, Affine], None]
"""Plans how a node absorbs a map; raises Refused with the reason why it cannot."""


def _conv_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    weight = plan.weight(node)
    _expect_channels(node, "makes", weight.shape[0], affine)
    factors = affine.scale.reshape(-1, *[1] * (weight.ndim - 1))  # (M, 1, ...) against (M, C/G, k...)
    product = scaled_weight(node, weight, factors, (0,), affine)
    bias = narrowed(node, _bias_upstream(plan, node, affine), weight.dtype)
    plan.add(node, set_constant(node, 1, product, "weight"), set_constant(node, 2, bias, "bias"))


def _conv_transpose_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    weight = plan.weight(node)
    group = node.attributes.get_int("group", 1)
    _expect_channels(node, "makes", group * weight.shape[1], affine)
    grouped = weight.reshape(group, -1, *weight.shape[1:])  # (G, C/G, M/G, k...)
    factors = affine.scale.reshape(group, 1, weight.shape[1], *[1] * (weight.ndim - 2))
    product = scaled_weight(node, grouped, factors, (0, 2), affine).reshape(weight.shape)  # (C, M/G, k...)
    bias = narrowed(node, _bias_upstream(plan, node, affine), weight.dtype)
    plan.add(node, set_constant(node, 1, product, "weight"), set_constant(node, 2, bias, "bias"))


def _bias_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> Array:
    bias = plan.wide_parameter(node, 2, "bias")
    return affine.shift if bias is None else affine.scale * bias + affine.shift


def _gemm_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    _require_broadcasting(plan, node)
    weight = plan.weight(node)
    channel_axis = 0 if node.attributes.get_int("transB", 0) else 1
    _expect_channels(node, "makes", weight.shape[channel_axis], affine)
    factors = affine.scale.reshape((-1, 1) if channel_axis == 0 else (1, -1))  # along N of (N, K) or (K, N)
    product = scaled_weight(node, weight, factors, (channel_axis,), affine)
    addend = plan.wide_parameter(node, 2, "bias")  # broadcasts to (M, N)
    beta = node.attributes.get_float("beta", 1.0)
    bias = affine.shift if addend is None else affine.scale * (beta * addend) + affine.shift
    plan.add(
        node,
        set_constant(node, 1, product, "weight"),
        set_constant(node, 2, narrowed(node, bias, weight.dtype), "bias"),
        set_float(node, "beta", 1.0),
    )


def _matmul_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    _require_matrices(node)
    weight = plan.weight(node)
    _expect_channels(node, "makes", weight.shape[1], affine)
    product = scaled_weight(node, weight, affine.scale.reshape(1, -1), (1,), affine)  # along N of (K, N)
    plan.add(node, set_constant(node, 1, product, "weight"))
    _add_to_matmul(plan, node, affine.shift, weight.dtype)


def _batchnorm_upstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    read_batchnorm(node, plan.constants, plan.scope.opset)
    scale, bias = plan.parameter(node, 1, "scale"), plan.parameter(node, 2, "bias")
    assert scale is not None
    assert bias is not None
    _expect_channels(node, "makes", scale.size, affine)
    new_scale = affine.scale * scale.astype(np.float64)
    new_bias = affine.scale * bias.astype(np.float64) + affine.shift
    dtype = wider_type(node, scale)
    plan.add(
        node,
        set_constant(node, 1, narrowed(node, new_scale, dtype), "scale"),
        set_constant(node, 2, narrowed(node, new_bias, dtype), "bias"),
    )


def _conv_downstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    weight = plan.weight(node)
    group = node.attributes.get_int("group", 1)
    _expect_channels(node, "reads", group * weight.shape[1], affine)
    shifted = bool(affine.shift.any())
    if shifted:
        _require_no_padding(node, affine)
    grouped = weight.reshape(group, -1, *weight.shape[1:])  # (G, M/G, C/G, k...)
    factors = affine.scale.reshape(group, 1, weight.shape[1], *[1] * (weight.ndim - 2))
    product = scaled_weight(node, grouped, factors, (0, 2), affine).reshape(weight.shape)  # (M, C/G, k...)
    edits = [set_constant(node, 1, product, "weight")]
    if shifted:
        kernel = tuple(range(2, weight.ndim))
        sums = weight.astype(np.float64).sum(axis=kernel)  # (M, C/G)
        by_group = sums.reshape(group, -1, weight.shape[1]) * affine.shift.reshape(group, 1, -1)
        bias = by_group.sum(axis=2).reshape(-1)  # (M,) = (G, M/G) in a row
        old = plan.wide_parameter(node, 2, "bias")
        total = bias if old is None else bias + old
        edits.append(set_constant(node, 2, narrowed(node, total, weight.dtype), "bias"))
    plan.add(node, *edits)


def _conv_transpose_downstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    weight = plan.weight(node)
    _expect_channels(node, "reads", weight.shape[0], affine)
    if affine.shift.any():
        raise Refused(
            f"the shift {_worst(affine.shift):g} would not reach all of what {describe(node)} makes"
        )
    factors = affine.scale.reshape(-1, *[1] * (weight.ndim - 1))  # (C, 1, ...) against (C, M/G, k...)
    plan.add(node, set_constant(node, 1, scaled_weight(node, weight, factors, (0,), affine), "weight"))


def _gemm_downstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    if node.attributes.get_int("transA", 0):
        raise Refused(f"{describe(node)} has transA = 1: it sums over the batch, not over the channels")
    _require_broadcasting(plan, node)
    weight = plan.weight(node)
    transposed = node.attributes.get_int("transB", 0)
    channel_axis = 1 if transposed else 0
    _expect_channels(node, "reads", weight.shape[channel_axis], affine)
    factors = affine.scale.reshape((1, -1) if transposed else (-1, 1))  # along K of (N, K) or (K, N)
    product = scaled_weight(node, weight, factors, (channel_axis,), affine)
    edits = [set_constant(node, 1, product, "weight")]
    if affine.shift.any():
        matrix = weight.astype(np.float64)
        alpha, beta = node.attributes.get_float("alpha", 1.0), node.attributes.get_float("beta", 1.0)
        bias = alpha * (affine.shift @ (matrix.T if transposed else matrix))  # (N,)
        addend = plan.wide_parameter(node, 2, "bias")  # broadcasts to (M, N)
        total = bias if addend is None else bias + beta * addend
        edits.append(set_constant(node, 2, narrowed(node, total, weight.dtype), "bias"))
        edits.append(set_float(node, "beta", 1.0))
    plan.add(node, *edits)


def _matmul_downstream(plan: FoldPlan, node: ir.Node, affine: Affine) -> None:
    _require_matrices(node)
    weight = plan.weight(node)
    _expect_channels(node, "reads", weight.shape[0], affine)
    product = scaled_weight(node, weight, affine.scale.reshape(-1, 1), (0,), affine)  # along K of (K, N)
    plan.add(node, set_constant(node, 1, product, "weight"))
    _add_to_matmul(plan, node, affine.shift @ weight.astype(np.float64), weight.dtype)


def _add_to_matmul(plan: FoldPlan, node: ir.Node, shift: Array, dtype: np.dtype[np.generic]) -> None:
    """Turn the MatMul into a Gemm that also adds `shift`, if there is any."""
    if not shift.any():
        return
    _require_broadcasting(plan, node)
    bias = narrowed(node, shift, dtype)

    def to_gemm(editor: Editor) -> None:
        gemm = ir.node("Gemm", list(node.inputs), name=node.name)
        editor.set_constant(gemm, 2, bias, f"{gemm.name}.bias")
        editor.replace(node, gemm)

    plan.add(node, to_gemm)


def _expect_channels(node: ir.Node, verb: str, channels: int, affine: Affine) -> None:
    if channels != affine.channels:
        raise Refused(f"{describe(node)} {verb} {channels} channels, the map is for {affine.channels}")


def _require_broadcasting(plan: FoldPlan, node: ir.Node) -> None:
    if plan.scope.opset < BROADCASTING_OPSET:
        raise Refused(
            f"{describe(node)} broadcasts its bias only from opset {BROADCASTING_OPSET} on, "
            f"the model has {plan.scope.opset}"
        )


def _require_matrices(node: ir.Node) -> None:
    """Only of matrices is axis 1 of the product the one along which the constant's columns lie."""
    ranks = [None if value is None or value.shape is None else len(value.shape) for value in node.inputs]
    if ranks != [2, 2]:
        shown = " and ".join("unknown" if rank is None else str(rank) for rank in ranks)
        raise Refused(f"{describe(node)} multiplies tensors of rank {shown}: its channels are not on axis 1")


def _require_no_padding(node: ir.Node, affine: Affine) -> None:
    pads = list(node.attributes.get_ints("pads", ()))
    automatic = node.attributes.get_string("auto_pad", "NOTSET")
    if any(pads) or automatic.startswith("SAME"):
        padding = pads if any(pads) else automatic
        raise Refused(f"the padding {padding} of {describe(node)} meets the shift {_worst(affine.shift):g}")


def _worst(array: Array) -> float:
    return float(array[np.argmax(np.abs(array))])


UPSTREAM: Mapping[str, Absorber] = {
    "Conv": _conv_upstream,
    "ConvTranspose": _conv_transpose_upstream,
    "Gemm": _gemm_upstream,
    "MatMul": _matmul_upstream,
    "BatchNormalization": _batchnorm_upstream,
}
"""Operator -> how it absorbs a map of its result, which travels upstream."""

DOWNSTREAM: Mapping[str, Absorber] = {
    "Conv": _conv_downstream,
    "ConvTranspose": _conv_transpose_downstream,
    "Gemm": _gemm_downstream,
    "MatMul": _matmul_downstream,
}
"""Operator -> how it absorbs a map of its first input, which travels downstream."""
