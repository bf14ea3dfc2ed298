"""Cases of layers: normalizations, the softmax family, attention, recurrences, losses."""

from __future__ import annotations

import numpy as np

from tests.reference.rounding.case import Array, Case, Random, between, case, normal, numbers, pick, shape


@case("Softmax", "LogSoftmax", "Hardmax")
def softmax(random: Random, op_type: str) -> Case:
    sizes = (*shape(random, int(random.integers(1, 3)), 6), int(random.integers(2, 300)))
    axis = int(pick(random, -1, -1, random.integers(len(sizes))))
    return Case(lambda random: [numbers(random, *sizes)], {"axis": axis}, opset=int(pick(random, 21, 13, 11)))


@case("LRN")
def lrn(random: Random) -> Case:
    channels = int(random.integers(1, 20))
    attributes = {
        "size": int(pick(random, 1, 3, 5, 7)), "alpha": float(10 ** random.uniform(-4, 0)),
        "beta": float(pick(random, 0.5, 0.75, 1.0)), "bias": float(random.uniform(0.5, 2)),
    }  # fmt: skip
    return Case(lambda random: [numbers(random, 2, channels, 5, 6)], attributes)


@case("IntraChannelLRN", domain="normdeploy")
def intra_channel_lrn(random: Random) -> Case:
    return Case(
        lambda random: [numbers(random, 2, 3, 9, 9)], {"size": 5, "alpha": 0.1, "beta": 0.75, "bias": 1.0}
    )


@case("BatchNormalization")
def batch_normalization(random: Random) -> Case:
    sizes = shape(random, int(pick(random, 2, 3, 4)))
    c = sizes[1]

    def draw(random: Random) -> list[Array]:
        scale, bias, mean = (numbers(random, c) for _ in range(3))
        return [numbers(random, *sizes), scale, bias, mean, between(random, 1e-3, 3, c)]

    return Case(draw, {"epsilon": float(pick(random, 1e-5, 1e-3))}, opset=int(pick(random, 21, 9, 15)))


@case("InstanceNormalization")
def instance_normalization(random: Random) -> Case:
    sizes = (2, int(random.integers(1, 8)), *(int(s) for s in random.integers(2, 20, 2)))
    return Case(lambda random: [numbers(random, *sizes), normal(random, sizes[1]), normal(random, sizes[1])])


@case("GroupNormalization")
def group_normalization(random: Random) -> Case:
    groups = int(random.integers(1, 4))
    channels = groups * int(random.integers(1, 4))
    sizes = (2, channels, *(int(s) for s in random.integers(2, 20, 2)))
    return Case(
        lambda random: [numbers(random, *sizes), normal(random, channels), normal(random, channels)],
        {"num_groups": groups},
    )


@case("LayerNormalization", "RMSNormalization")
def layer_normalization(random: Random, op_type: str) -> Case:
    sizes = (*shape(random, 2, 8), int(random.integers(2, 300)))
    bias = op_type == "LayerNormalization" and random.random() < 0.5
    return Case(
        lambda random: [
            numbers(random, *sizes),
            normal(random, sizes[-1]),
            *([normal(random, sizes[-1])] if bias else []),
        ],
        opset=23 if op_type == "RMSNormalization" else 21,
    )


@case("LpNormalization")
def lp_normalization(random: Random) -> Case:
    sizes = shape(random, 3, 30)
    return Case(
        lambda random: [numbers(random, *sizes)],
        {"axis": int(random.integers(3)), "p": int(pick(random, 1, 2))},
    )


@case("MeanVarianceNormalization")
def mean_variance_normalization(random: Random) -> Case:
    sizes = (2, 3, *(int(s) for s in random.integers(2, 12, 2)))

    def draw(random: Random) -> list[Array]:
        """Of no variance of 0: onnxruntime leaves out what keeps the result finite there."""
        x = numbers(random, *sizes)
        return [x + normal(random, *sizes) * np.float32(1e-3) * np.abs(x).max()]

    return Case(draw, {"axes": pick(random, [0, 2, 3], [2, 3])})


@case("Dropout")
def dropout(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)])


@case("LSTM", "GRU", "RNN")
def recurrent(random: Random, op_type: str) -> Case:
    steps, batch, size, hidden = (int(v) for v in random.integers(1, [40, 5, 12, 17]))
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type]
    attributes = {"hidden_size": hidden}
    if op_type == "GRU":
        attributes["linear_before_reset"] = int(random.integers(2))
    spread = float(pick(random, 0.3, 1.0))

    def draw(random: Random) -> list[Array]:
        scale = np.float32(spread * hidden**-0.5)
        return [
            pick(random, normal(random, steps, batch, size), numbers(random, steps, batch, size)),
            normal(random, 1, gates * hidden, size) * scale,
            normal(random, 1, gates * hidden, hidden) * scale,
            normal(random, 1, 2 * gates * hidden) * scale,
        ]

    return Case(draw, attributes, outputs=3 if op_type == "LSTM" else 2, opset=14)


@case("Attention")
def attention(random: Random) -> Case:
    heads, size = int(random.integers(1, 4)), int(pick(random, 4, 8, 16))
    queries, keys = (int(value) for value in random.integers(2, 20, 2))

    def draw(random: Random) -> list[Array]:
        scale = np.float32(pick(random, 1, 1, 4))
        return [
            normal(random, 2, heads, queries, size) * scale,
            normal(random, 2, heads, keys, size) * scale,
            numbers(random, 2, heads, keys, size),
        ]

    return Case(draw, {"is_causal": int(random.integers(2)) if queries <= keys else 0}, opset=23)


@case("RotaryEmbedding")
def rotary_embedding(random: Random) -> Case:
    heads, length, size = int(random.integers(1, 4)), int(random.integers(1, 20)), int(pick(random, 8, 16))

    def draw(random: Random) -> list[Array]:
        angles = random.uniform(0, 7, (2, length, size // 2))
        return [
            numbers(random, 2, heads, length, size),
            *(f(angles).astype(np.float32) for f in (np.cos, np.sin)),
        ]

    return Case(draw, {"interleaved": int(random.integers(2))}, opset=23)


@case("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(random: Random, op_type: str) -> Case:
    batch, classes = int(random.integers(2, 20)), int(random.integers(2, 30))
    attributes = {"reduction": pick(random, "none", "mean", "sum")}
    return Case(
        lambda random: [normal(random, batch, classes) * 3, random.integers(0, classes, batch)], attributes
    )


@case("QuantizeLinear")
def quantize(random: Random) -> Case:
    sizes = shape(random)
    return Case(
        lambda random: [normal(random, *sizes), scale_of(random.uniform(0.01, 0.1)), np.array(128, np.uint8)]
    )


@case("DequantizeLinear")
def dequantize(random: Random) -> Case:
    sizes = shape(random)
    return Case(
        lambda random: [
            random.integers(0, 256, sizes).astype(np.uint8),
            scale_of(random.uniform(0.01, 0.1)),
            np.array(128, np.uint8),
        ]
    )


@case("DynamicQuantizeLinear")
def dynamic_quantize(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)], outputs=3)


@case("ConvInteger")
def conv_integer(random: Random) -> Case:
    return Case(
        lambda random: [
            random.integers(0, 255, (1, 3, 7, 7)).astype(np.uint8),
            random.integers(0, 255, (4, 3, 3, 3)).astype(np.uint8),
        ]
    )


@case("MatMulInteger")
def matmul_integer(random: Random) -> Case:
    m, k, n = random.integers(1, 20, 3)
    return Case(
        lambda random: [
            random.integers(0, 255, (m, k)).astype(np.uint8),
            random.integers(0, 255, (k, n)).astype(np.uint8),
        ]
    )


def scale_of(value: float) -> Array:
    return np.array(value, np.float32)


@case("QLinearMatMul")
def qlinear_matmul(random: Random) -> Case:
    m, k, n = random.integers(1, 20, 3)

    def draw(random: Random) -> list[Array]:
        zero = np.array(128, np.uint8)
        a, b = (random.integers(0, 256, sizes).astype(np.uint8) for sizes in ((m, k), (k, n)))
        scales = [scale_of(random.uniform(0.01, 0.1)) for _ in range(3)]
        return [a, scales[0], zero, b, scales[1], zero, scales[2], zero]

    return Case(draw)


@case("QLinearConv")
def qlinear_conv(random: Random) -> Case:
    def draw(random: Random) -> list[Array]:
        zero = np.array(128, np.uint8)
        x, w = (random.integers(0, 256, sizes).astype(np.uint8) for sizes in ((1, 3, 7, 7), (4, 3, 3, 3)))
        scales = [scale_of(random.uniform(0.01, 0.1)) for _ in range(3)]
        return [x, scales[0], zero, w, scales[1], zero, scales[2], zero]

    return Case(draw)
