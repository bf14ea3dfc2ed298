"""Kernels of 8-bit integers, as what they stand for: DequantizeLinear, an operator, QuantizeLinear.

A kernel computes the same numbers in another order. Where a result lies at the middle between two integers it
may round the other way, as rounding inside these three operators does.

The definitions are ONNX's (QLinearConv, QLinearMatMul) and those of onnxruntime's ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from normdeploy.reference.composition import BodyWriter, composition
from normdeploy.reference.fused import DOMAIN
from normdeploy.reference.nhwc import channels_first
from normdeploy.reference.nhwc import channels_last as moved_last

Value = ir.Value
Optional = ir.Value | None


def _real(write: BodyWriter, x: Value, scale: Value, zero_point: Optional = None, axis: int = 1) -> Value:
    return write("DequantizeLinear", x, scale, zero_point, axis=axis)


def _quantized(write: BodyWriter, x: Value, scale: Value, zero_point: Optional, like: Value) -> Value:
    """x quantized with a zero point, or with 0 in the type of another value."""
    if zero_point is not None:
        return write("QuantizeLinear", x, scale, zero_point)
    if like.dtype is None:
        raise NotImplementedError("a result of unknown type without a zero point")
    return write("QuantizeLinear", x, scale, output_dtype=int(like.dtype))


@composition("DequantizeLinear", domain=DOMAIN)
def dequantize_linear(
    write: BodyWriter, x: Value, x_scale: Value, x_zero_point: Optional = None, *, axis: int = 1
) -> Value:
    """DequantizeLinear, which takes more integer types here than in old opsets."""
    return _real(write, x, x_scale, x_zero_point, axis)


@composition("QuantizeLinear", domain=DOMAIN)
def quantize_linear(
    write: BodyWriter, x: Value, y_scale: Value, y_zero_point: Optional = None, *, axis: int = 1
) -> Value:
    """QuantizeLinear, which takes more integer types here than in old opsets."""
    return write("QuantizeLinear", x, y_scale, y_zero_point, axis=axis)


@composition("QLinearConv", domain="")
@composition("QLinearConv", domain=DOMAIN)
def qlinear_conv(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    w: Value,
    w_scale: Value,
    w_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    b: Optional = None,
    *,
    auto_pad: str = "NOTSET",
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """Conv of x (N, C, *sizes), or of (N, *sizes, C) with channels_last, with w (M, C / group, *kernel).

    The bias is int32, of scale x_scale · w_scale.
    """
    real = _real(write, x, x_scale, x_zero_point)
    if channels_last:
        real = channels_first(write, real)
    filters = _real(write, w, w_scale, w_zero_point, axis=0)
    bias = None if b is None else _real(write, b, write("Mul", x_scale, w_scale), axis=0)
    y = write(
        "Conv",
        real,
        filters,
        bias,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    if channels_last:
        y = moved_last(write, y)
    return write("QuantizeLinear", y, y_scale, y_zero_point)


@composition("QLinearMatMul", domain="")
def qlinear_matmul(
    write: BodyWriter,
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
) -> Value:
    """A · B; parameters of A may be one for each row, those of B one for each column."""
    left = _real(write, a, a_scale, a_zero_point, axis=-2)
    right = _real(write, b, b_scale, b_zero_point, axis=-1)
    return write("QuantizeLinear", write("MatMul", left, right), y_scale, y_zero_point, axis=-2)


@composition("QGemm", domain=DOMAIN)
def qgemm(
    write: BodyWriter,
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    c: Optional = None,
    y_scale: Optional = None,
    y_zero_point: Optional = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Value:
    """alpha · A' B' + C, C int32 of scale alpha · a_scale · b_scale; in float without y_scale."""
    left = _real(write, a, a_scale, a_zero_point)
    right = _real(write, b, b_scale, b_zero_point, axis=0 if transB else 1)
    bias = None
    if c is not None:
        scale = write("Mul", a_scale, b_scale)
        if alpha != 1:
            scale = write("Mul", scale, write.constant(alpha))
        bias = _real(write, c, scale, axis=-1)
    y = write("Gemm", left, right, bias, alpha=alpha, transA=transA, transB=transB)
    return y if y_scale is None else _quantized(write, y, y_scale, y_zero_point, a)


@composition("MatMulIntegerToFloat", domain=DOMAIN)
def matmul_integer_to_float(
    write: BodyWriter,
    a: Value,
    b: Value,
    a_scale: Value,
    b_scale: Value,
    a_zero_point: Optional = None,
    b_zero_point: Optional = None,
    bias: Optional = None,
) -> Value:
    """A · B + bias in float; parameters of B may be one for each column."""
    left = _real(write, a, a_scale, a_zero_point, axis=-2)
    right = _real(write, b, b_scale, b_zero_point, axis=-1)
    y = write("MatMul", left, right)
    return y if bias is None else write("Add", y, bias)


@composition("DynamicQuantizeMatMul", domain=DOMAIN)
def dynamic_quantize_matmul(
    write: BodyWriter,
    a: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Optional = None,
    bias: Optional = None,
) -> Value:
    """A · B + bias, A quantized by its own range first."""
    quantized, scale, zero_point = write.several("DynamicQuantizeLinear", 3, a)
    return matmul_integer_to_float(write, quantized, b, scale, b_scale, zero_point, b_zero_point, bias)


@composition("QLinearAdd", domain=DOMAIN)
def qlinear_add(
    write: BodyWriter,
    a: Value,
    a_scale: Value,
    a_zero_point: Optional,
    b: Value,
    b_scale: Value,
    b_zero_point: Optional,
    c_scale: Value,
    c_zero_point: Optional = None,
) -> Value:
    """A + B."""
    y = write("Add", _real(write, a, a_scale, a_zero_point), _real(write, b, b_scale, b_zero_point))
    return _quantized(write, y, c_scale, c_zero_point, a)


@composition("QLinearMul", domain=DOMAIN)
def qlinear_mul(
    write: BodyWriter,
    a: Value,
    a_scale: Value,
    a_zero_point: Optional,
    b: Value,
    b_scale: Value,
    b_zero_point: Optional,
    c_scale: Value,
    c_zero_point: Optional = None,
) -> Value:
    """A · B."""
    y = write("Mul", _real(write, a, a_scale, a_zero_point), _real(write, b, b_scale, b_zero_point))
    return _quantized(write, y, c_scale, c_zero_point, a)


@composition("QLinearWhere", domain=DOMAIN)
def qlinear_where(
    write: BodyWriter,
    condition: Value,
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    y: Value,
    y_scale: Value,
    y_zero_point: Value,
    z_scale: Value,
    z_zero_point: Value,
) -> Value:
    """x where the condition holds, else y."""
    real_x, real_y = _real(write, x, x_scale, x_zero_point), _real(write, y, y_scale, y_zero_point)
    return write("QuantizeLinear", write("Where", condition, real_x, real_y), z_scale, z_zero_point)


@composition("QLinearConcat", domain=DOMAIN)
def qlinear_concat(
    write: BodyWriter, y_scale: Value, y_zero_point: Value, *inputs: Value, axis: int
) -> Value:
    """Tensors, each with its scale and zero point, joined along an axis."""
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    parts = [_real(write, x, scale, zero_point) for x, scale, zero_point in triples]
    return write("QuantizeLinear", write("Concat", *parts, axis=axis), y_scale, y_zero_point)


@composition("QLinearSigmoid", domain=DOMAIN)
def qlinear_sigmoid(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Optional,
    y_scale: Value,
    y_zero_point: Optional = None,
) -> Value:
    """Sigmoid."""
    y = write("Sigmoid", _real(write, x, x_scale, x_zero_point))
    return _quantized(write, y, y_scale, y_zero_point, x)


@composition("QLinearLeakyRelu", domain=DOMAIN)
def qlinear_leaky_relu(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Optional,
    y_scale: Value,
    y_zero_point: Optional = None,
    *,
    alpha: float = 0.01,
) -> Value:
    """LeakyRelu."""
    y = write("LeakyRelu", _real(write, x, x_scale, x_zero_point), alpha=alpha)
    return _quantized(write, y, y_scale, y_zero_point, x)


@composition("QLinearSoftmax", domain=DOMAIN)
def qlinear_softmax(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Optional,
    y_scale: Value,
    y_zero_point: Value,
    *,
    axis: int = -1,
    opset: int,
) -> Value:
    """Softmax along an axis; below opset 13 over all axes from that one on.

    onnxruntime's kernel may be a step lower, see `normdeploy.reference.quantized_softmax`.
    """
    real = _real(write, x, x_scale, x_zero_point)
    if opset >= 13:
        y = write("Softmax", real, axis=axis)
    else:
        y = write("Softmax", write("Flatten", real, axis=axis), axis=-1)
        y = write("Reshape", y, write("Shape", x))
    return write("QuantizeLinear", y, y_scale, y_zero_point)


@composition("QLinearGlobalAveragePool", domain=DOMAIN)
def qlinear_global_average_pool(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    *,
    channels_last: int = 0,
) -> Value:
    """GlobalAveragePool of (N, C, *sizes), or of (N, *sizes, C) with channels_last."""
    real = _real(write, x, x_scale, x_zero_point)
    if channels_last:
        y = moved_last(write, write("GlobalAveragePool", channels_first(write, real)))
    else:
        y = write("GlobalAveragePool", real)
    return write("QuantizeLinear", y, y_scale, y_zero_point)


@composition("QLinearAveragePool", domain=DOMAIN)
def qlinear_average_pool(
    write: BodyWriter,
    x: Value,
    x_scale: Value,
    x_zero_point: Optional,
    y_scale: Value,
    y_zero_point: Optional = None,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """AveragePool of (N, C, *sizes), or of (N, *sizes, C) with channels_last."""
    real = _real(write, x, x_scale, x_zero_point)
    y = write(
        "AveragePool",
        channels_first(write, real) if channels_last else real,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return _quantized(write, moved_last(write, y) if channels_last else y, y_scale, y_zero_point, x)
