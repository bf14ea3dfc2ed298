"""What onnxruntime's optimizer puts in place of several nodes, in the operators that it replaces.

The definitions are those of onnxruntime's ContribOperators.md. Where an output that is only for training is
asked for, it is computed too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference.composition import BodyWriter, composition
from normdeploy.reference.linear import matmul
from normdeploy.reference.repeated_terms import repeated_products
from normdeploy.reference.rounding_model import Keywords, sum_of
from normdeploy.reference.signature import operator

DOMAIN = "com.microsoft"

_ACTIVATION_PARAMETERS: Mapping[str, Sequence[str]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "Softplus": (),
    "Softsign": (),
    "HardSwish": (),
    "LeakyRelu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
}
"""Activations of fused kernels, and which of their attributes the parameters are, in order."""


def activated(
    write: BodyWriter, x: ir.Value, activation: str, parameters: Sequence[float] | Mapping[str, float]
) -> ir.Value:
    """x after a fused activation.

    Args:
        write: the body.
        x: the kernel's result.
        activation: an operator's name; "" for none.
        parameters: its attributes, in order or by name; those left out are at their defaults.

    Raises:
        NotImplementedError: an activation that no kernel of onnxruntime has.
    """
    if not activation:
        return x
    if activation == "Clip" and not isinstance(parameters, Mapping) and len(parameters) == 2:
        low, high = (write.constant(limit) for limit in parameters)
        return write("Clip", x, low, high)
    names = _ACTIVATION_PARAMETERS.get(activation)
    if names is None:
        raise NotImplementedError(f"activation '{activation}'")
    given = parameters if isinstance(parameters, Mapping) else dict(zip(names, parameters, strict=False))
    attributes: dict[str, Any] = {name: given[name] for name in names if name in given}
    return write(activation, x, **attributes)


@composition("FusedConv", domain=DOMAIN)
def fused_conv(
    write: BodyWriter,
    x: ir.Value,
    w: ir.Value,
    b: ir.Value | None = None,
    z: ir.Value | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> ir.Value:
    """activation(Conv(x, w, b) + z)."""
    y = write(
        "Conv",
        x,
        w,
        b,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return activated(write, y if z is None else write("Add", y, z), activation, activation_params)


@composition("FusedGemm", domain=DOMAIN)
def fused_gemm(
    write: BodyWriter,
    a: ir.Value,
    b: ir.Value,
    c: ir.Value | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> ir.Value:
    """activation(alpha · A' B' + beta · C)."""
    y = write("Gemm", a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    given = {"alpha": activation_alpha, "beta": activation_beta, "gamma": activation_gamma}
    return activated(
        write, y, activation, {name: value for name, value in given.items() if value is not None}
    )


def _terms_of_fused_matmul(keywords: Keywords, inputs: Sequence[Any]) -> int:
    shape = inputs[0].shape
    return int(shape[-2] if keywords.get("transA", 0) and len(shape) > 1 else shape[-1])


def _repeats_of_fused_matmul(keywords: Keywords, inputs: Sequence[Any]) -> float | Array:
    left, right = (
        _arranged(x, keywords.get(f"trans{side}", 0), keywords.get(f"transBatch{side}", 0))
        for x, side in zip(inputs, "AB", strict=True)
    )
    return repeated_products(left, right)


_FUSED_MATMUL = sum_of(_terms_of_fused_matmul, repeats=_repeats_of_fused_matmul)


@operator("FusedMatMul", since=1, domain=DOMAIN, rounding=_FUSED_MATMUL)
@operator("TransposeMatMul", since=1, domain=DOMAIN, rounding=_FUSED_MATMUL)
def fused_matmul(
    a: Array,
    b: Array,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
    transBatchA: int = 0,  # noqa: N803
    transBatchB: int = 0,  # noqa: N803
) -> Array:
    """alpha · A' B' of the matrices in the last two axes.

    transA swaps A's last two axes; transBatchA first moves its first axis to the one before the last.
    """
    y = matmul(_arranged(a, transA, transBatchA), _arranged(b, transB, transBatchB))
    return y if alpha == 1 else y * alpha


def _arranged(x: Array, transposed: int, batch_last: int) -> Array:
    if x.ndim < 2:
        return x
    if batch_last:
        x = x.transpose(*range(1, x.ndim - 1), 0, x.ndim - 1)
    return x.swapaxes(-1, -2) if transposed else x


@composition("Gelu", domain=DOMAIN)
def gelu(write: BodyWriter, x: ir.Value) -> ir.Value:
    """x · Φ(x), by erf."""
    return write("Gelu", x)


@composition("BiasGelu", domain=DOMAIN)
def bias_gelu(write: BodyWriter, x: ir.Value, bias: ir.Value) -> ir.Value:
    """Gelu of x + bias, by erf."""
    return write("Gelu", write("Add", x, bias))


@composition("FastGelu", domain=DOMAIN)
def fast_gelu(write: BodyWriter, x: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """Gelu of x + bias, by tanh of a cubic."""
    return write("Gelu", x if bias is None else write("Add", x, bias), approximate="tanh")


@composition("QuickGelu", domain=DOMAIN)
def quick_gelu(write: BodyWriter, x: ir.Value, *, alpha: float = 1.702) -> ir.Value:
    """x · sigmoid(alpha · x)."""
    scaled = x if alpha == 1 else write("Mul", x, write.constant(alpha))
    return write("Mul", x, write("Sigmoid", scaled))


@composition("SkipLayerNormalization", domain=DOMAIN)
def skip_layer_normalization(
    write: BodyWriter,
    x: ir.Value,
    skip: ir.Value,
    gamma: ir.Value,
    beta: ir.Value | None = None,
    bias: ir.Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> Sequence[ir.Value]:
    """LayerNormalization of x + skip + bias over the last axis; with it the mean, 1/σ and the sum."""
    total = _skipped(write, x, skip, bias)
    y, mean, inverse = write.several("LayerNormalization", 3, total, gamma, beta, epsilon=epsilon, axis=-1)
    return [y, mean, inverse, total]


@composition("SkipSimplifiedLayerNormalization", domain=DOMAIN)
def skip_simplified_layer_normalization(
    write: BodyWriter,
    x: ir.Value,
    skip: ir.Value,
    gamma: ir.Value,
    bias: ir.Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> Sequence[ir.Value]:
    """RMSNormalization of x + skip + bias over the last axis; with it nothing (zero), 1/rms and the sum."""
    total = _skipped(write, x, skip, bias)
    y = write("RMSNormalization", total, gamma, epsilon=epsilon, axis=-1)
    inverse = _inverse_rms(write, total, -1, epsilon)
    return [y, write("Sub", inverse, inverse), inverse, total]


def _skipped(write: BodyWriter, x: ir.Value, skip: ir.Value, bias: ir.Value | None) -> ir.Value:
    total = write("Add", x, skip)
    return total if bias is None else write("Add", total, bias)


def _inverse_rms(write: BodyWriter, x: ir.Value, axis: int, epsilon: float) -> ir.Value:
    if axis >= 0:
        raise NotImplementedError("1/rms over an axis that is not counted from the end")
    axes = write.constant(list(range(axis, 0)), "int64")
    square = write("ReduceMean", write("Mul", x, x), axes)
    return write("Reciprocal", write("Sqrt", write("Add", square, write.constant(epsilon))))


@composition("SimplifiedLayerNormalization", domain="")
def simplified_layer_normalization(
    write: BodyWriter,
    x: ir.Value,
    scale: ir.Value,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    n_outputs: int = 1,
) -> Sequence[ir.Value]:
    """RMSNormalization under onnxruntime's own name, with 1/rms."""
    y = write("RMSNormalization", x, scale, axis=axis, epsilon=epsilon, stash_type=stash_type)
    return [y] if n_outputs == 1 else [y, _inverse_rms(write, x, axis, epsilon)]


@composition("LayerNormalization", domain="")
def layer_normalization(
    write: BodyWriter,
    x: ir.Value,
    scale: ir.Value,
    b: ir.Value | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Sequence[ir.Value]:
    """LayerNormalization in a file of an opset that does not have it yet, as onnxruntime writes it."""
    return write.several(
        "LayerNormalization", 3, x, scale, b, axis=axis, epsilon=epsilon, stash_type=stash_type
    )


@composition("EmbedLayerNormalization", domain=DOMAIN)
def embed_layer_normalization(
    write: BodyWriter,
    input_ids: ir.Value,
    segment_ids: ir.Value | None,
    word_embedding: ir.Value,
    position_embedding: ir.Value,
    segment_embedding: ir.Value | None,
    gamma: ir.Value,
    beta: ir.Value,
    mask: ir.Value | None = None,
    position_ids: ir.Value | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 0,
) -> Sequence[ir.Value]:
    """LayerNormalization of the sum of word, position and segment embeddings; the masks' lengths; the sum.

    input_ids, segment_ids, mask: (batch, length); embeddings: (entries, hidden) -> (batch, length, hidden).
    """
    if position_ids is None:
        length = write("Shape", input_ids, start=1, end=2)
        zero, one = (write.constant(number, "int64") for number in (0, 1))
        last = write("Squeeze", length)
        position_ids = write("Range", zero, last, one)
    total = write(
        "Add",
        write("Gather", word_embedding, input_ids),
        write("Gather", position_embedding, position_ids),
    )
    if segment_embedding is not None:
        total = write("Add", total, write("Gather", segment_embedding, segment_ids))
    y = write("LayerNormalization", total, gamma, beta, epsilon=epsilon, axis=-1)
    if mask is None:
        batch = write("Shape", input_ids, start=0, end=1)
        lengths = write("Expand", write.constant([0], "int32"), batch)
    else:
        axes = write.constant([1], "int64")
        lengths = write("ReduceSum", mask, axes, keepdims=0)
    return [y, lengths, total]
