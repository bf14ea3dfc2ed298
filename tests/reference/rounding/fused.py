"""Cases of what onnxruntime's optimizer puts in place of several nodes, and of kernels of 8-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.rounding.case import Array, Case, Random, case, normal, numbers, pick, shape

DOMAIN = "com.microsoft"


@case("FusedConv", domain=DOMAIN)
def fused_conv(random: Random) -> Case:
    group, channels, to = int(pick(random, 1, 2)), int(random.integers(1, 9)), int(random.integers(1, 9))
    kernel = [int(k) for k in random.integers(1, 4, 2)]
    name, parameters = pick(random, ("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.2]))
    attributes: dict[str, Any] = {"activation": name, "group": group, "kernel_shape": kernel}
    if parameters:
        attributes["activation_params"] = parameters
    added = name == "Relu" and random.random() < 0.5  # no other kernel takes a sum

    def draw(random: Random) -> list[Array | None]:
        x, w = numbers(random, 2, group * channels, 9, 8), normal(random, group * to, channels, *kernel)
        z = normal(random, 2, group * to, 10 - kernel[0], 9 - kernel[1])
        return [x, w, normal(random, group * to), *([z] if added else [])]

    return Case(draw, attributes)


@case("FusedGemm", domain=DOMAIN)
def fused_gemm(random: Random) -> Case:
    m, k, n = random.integers(1, 40, 3)
    activation = pick(random, "Relu", "Sigmoid", "Tanh")
    attributes: dict[str, Any] = {"alpha": 0.7, "beta": 1.3, "activation": activation}
    return Case(lambda random: [numbers(random, m, k), numbers(random, k, n), numbers(random, n)], attributes)


@case("Gelu", "FastGelu", domain=DOMAIN)
def gelu(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)])


@case("QuickGelu", domain=DOMAIN)
def quick_gelu(random: Random) -> Case:
    sizes = shape(random)
    attributes = pick(random, {}, {"alpha": float(random.uniform(0.5, 2))})
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("BiasGelu", domain=DOMAIN)
def bias_gelu(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [numbers(random, *sizes), numbers(random, sizes[-1])])


@case("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=DOMAIN)
def skip_normalization(random: Random, op_type: str) -> Case:
    sizes, hidden = shape(random, 2, 8), int(random.integers(2, 300))
    attributes = pick(random, {}, {"epsilon": 1e-3})
    parameters = 3 if op_type == "SkipLayerNormalization" else 2

    def draw(random: Random) -> list[Array]:
        x, skip = numbers(random, *sizes, hidden), normal(random, *sizes, hidden)
        return [x, skip, *(normal(random, hidden) for _ in range(parameters))]

    return Case(draw, attributes)


def integers(random: Random, *sizes: int) -> list[Array]:
    """A tensor of uint8, with its scale and zero point."""
    return [random.integers(0, 256, sizes).astype(np.uint8), *parameters(random)]


def parameters(random: Random) -> list[Array]:
    """A scale and a zero point."""
    return [np.array(random.uniform(0.01, 0.1), np.float32), np.array(random.integers(100, 156), np.uint8)]


@case("QLinearAdd", "QLinearMul", domain=DOMAIN)
def of_two(random: Random, op_type: str) -> Case:
    sizes = shape(random, 3)
    return Case(
        lambda random: [*integers(random, *sizes), *integers(random, *sizes[1:]), *parameters(random)]
    )


@case("QLinearSigmoid", "QLinearLeakyRelu", domain=DOMAIN)
def of_one(random: Random, op_type: str) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [*integers(random, *sizes), *parameters(random)])


@case("QLinearSoftmax", domain=DOMAIN)
def softmax(random: Random) -> Case:
    sizes = shape(random, 2)

    def draw(random: Random) -> list[Array]:
        scale = np.array(1 / random.uniform(200, 300), np.float32)
        return [*integers(random, *sizes), scale, np.array(0, np.uint8)]

    return Case(draw, {"axis": -1, "opset": 13})


@case("QLinearAveragePool", "QLinearGlobalAveragePool", domain=DOMAIN)
def pool(random: Random, op_type: str) -> Case:
    sizes = (2, 3, *(int(size) for size in random.integers(3, 12, 2)))
    kernel = [int(k) for k in random.integers(1, 4, 2)]
    attributes: dict[str, Any] = {} if "Global" in op_type else {"kernel_shape": kernel}
    alike = random.random() < 0.5  # scales, so that means lie in the middle between two integers

    def draw(random: Random) -> list[Array]:
        x = integers(random, *sizes)
        return [*x, x[1] if alike else parameters(random)[0], np.array(128, np.uint8)]

    return Case(draw, attributes)


@case("QGemm", domain=DOMAIN)
def qgemm(random: Random) -> Case:
    m, k, n = (int(size) for size in random.integers(1, 20, 3))
    floating = random.random() < 0.5

    def draw(random: Random) -> list[Array]:
        bias = random.integers(-2000, 2000, n).astype(np.int32)
        result = [] if floating else parameters(random)
        return [*integers(random, m, k), *integers(random, k, n), bias, *result]

    return Case(draw)


@case("MatMulIntegerToFloat", domain=DOMAIN)
def matmul_to_float(random: Random) -> Case:
    m, k, n = (int(size) for size in random.integers(1, 20, 3))

    def draw(random: Random) -> list[Array]:
        a, a_scale, a_zero = integers(random, m, k)
        b, b_scale, b_zero = integers(random, k, n)
        return [a, b, a_scale, b_scale, a_zero, b_zero, normal(random, n)]

    return Case(draw)
