"""Cases of operators that take sums: products of matrices, convolutions, pools, reductions."""

from __future__ import annotations

import numpy as np

from tests.reference.rounding.case import (
    Array,
    Case,
    Random,
    between,
    case,
    normal,
    numbers,
    pick,
    shape,
    whole,
)


def some_axes(random: Random, rank: int) -> list[int]:
    count = int(random.integers(1, rank + 1))
    return sorted(int(axis) for axis in random.choice(rank, count, replace=False))


REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


@case(*REDUCTIONS)
def reduction(random: Random, op_type: str) -> Case:
    sizes = pick(
        random,
        shape(random, 3),
        shape(random, 4),
        (int(random.integers(1, 3000)), 8),
        (8, int(random.integers(1, 3000))),
    )
    if op_type == "ReduceProd":
        sizes = shape(random, 4)
    axes = some_axes(random, len(sizes))

    def draw(random: Random) -> list[Array]:
        x = numbers(random, *sizes)
        if op_type == "ReduceLogSum":
            x = np.abs(x) + np.float32(1e-3)
        if op_type == "ReduceProd":
            x = between(random, 0.7, 1.4, *sizes) * pick(random, np.float32(1), np.float32(-1))
        return [x, whole(*axes)]

    return Case(draw, {"keepdims": int(random.integers(2))})


@case("ReduceMean", "ReduceSumSquare", "ReduceSum")
def reduction_of_equal_terms(random: Random, op_type: str) -> Case:
    sizes = pick(random, (16384, 4), (4, 16384), (5000, 16))
    axis = int(np.argmax(sizes))

    def draw(random: Random) -> list[Array]:
        if "plain" in random.kinds:
            return [np.full(sizes, random.uniform(0.1, 2), np.float32), whole(axis)]
        return [normal(random, *sizes), whole(axis)]

    return Case(draw)


@case("ArgMax", "ArgMin")
def extreme(random: Random, op_type: str) -> Case:
    sizes = shape(random, 3)
    attributes = {"axis": int(random.integers(3)), "select_last_index": int(random.integers(2))}
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("CumSum", "CumProd")
def cumulative(random: Random, op_type: str) -> Case:
    sizes, axis = shape(random, 3, 15), int(random.integers(3))
    attributes = {"exclusive": int(random.integers(2)), "reverse": int(random.integers(2))}
    return Case(
        lambda random: [numbers(random, *sizes), np.array(axis)],
        attributes,
        opset=26 if op_type == "CumProd" else 21,
    )


@case("MatMul")
def matmul(random: Random) -> Case:
    batch, (m, k, n) = shape(random, int(random.integers(0, 3)), 4), random.integers(1, 40, 3)
    k = k * pick(random, 1, 1, 10)
    second = pick(random, batch, ())
    return Case(lambda random: [numbers(random, *batch, m, k), numbers(random, *second, k, n)])


@case("Gemm")
def gemm(random: Random) -> Case:
    m, k, n = random.integers(1, 40, 3)
    k = k * pick(random, 1, 1, 10)
    flipped = random.integers(0, 2, 2)
    attributes = {
        "alpha": float(random.uniform(0.5, 2)), "beta": float(random.uniform(0.5, 2)),
        "transA": int(flipped[0]), "transB": int(flipped[1]),
    }  # fmt: skip
    a, b = ((k, m) if flipped[0] else (m, k)), ((n, k) if flipped[1] else (k, n))
    c = pick(random, None, (n,), (m, n))
    return Case(
        lambda random: [numbers(random, *a), numbers(random, *b), *([numbers(random, *c)] if c else [])],
        attributes,
    )


@case("Einsum")
def einsum(random: Random) -> Case:
    i, j, k = random.integers(1, 20, 3)
    equation, a, b = pick(
        random,
        ("ij,jk->ik", (i, j), (j, k)),
        ("bij,bjk->bik", (2, i, j), (2, j, k)),
        ("ij,kj->ik", (i, j), (k, j)),
        ("ij,ij->i", (i, j), (i, j)),
    )
    return Case(lambda random: [numbers(random, *a), numbers(random, *b)], {"equation": equation})


@case("FusedMatMul", "TransposeMatMul", domain="com.microsoft")
def fused_matmul(random: Random, op_type: str) -> Case:
    m, k, n = random.integers(1, 40, 3)
    flipped = random.integers(0, 2, 2)
    attributes = {
        "alpha": float(random.uniform(0.5, 2)),
        "transA": int(flipped[0]),
        "transB": int(flipped[1]),
    }
    a, b = ((k, m) if flipped[0] else (m, k)), ((n, k) if flipped[1] else (k, n))
    return Case(lambda random: [numbers(random, *a), numbers(random, *b)], attributes)


@case("Det")
def determinant(random: Random) -> Case:
    batch, n = int(random.integers(1, 20)), int(random.integers(1, 7))
    return Case(lambda random: [numbers(random, batch, n, n)])


@case("Conv")
def conv(random: Random) -> Case:
    group, rank = int(pick(random, 1, 1, 2, 4)), int(pick(random, 1, 2, 2, 3))
    channels, to = group * int(random.integers(1, 9)), group * int(random.integers(1, 9))
    kernel = tuple(int(k) for k in random.integers(1, 4, rank))
    sizes = tuple(int(s) for s in random.integers(6, 12, rank))
    attributes = {
        "group": group,
        "strides": [int(random.integers(1, 3))] * rank,
        "pads": [int(random.integers(2))] * (2 * rank),
    }
    bias = random.random() < 0.5
    return Case(
        lambda random: [
            numbers(random, 2, channels, *sizes),
            normal(random, to, channels // group, *kernel),
            *([normal(random, to)] if bias else []),
        ],
        attributes,
    )


@case("ConvTranspose")
def conv_transpose(random: Random) -> Case:
    group, rank = int(pick(random, 1, 1, 2)), int(pick(random, 1, 2))
    channels, to = group * int(random.integers(1, 9)), int(random.integers(1, 6))
    kernel = tuple(int(k) for k in random.integers(1, 4, rank))
    sizes = tuple(int(s) for s in random.integers(3, 9, rank))
    return Case(
        lambda random: [numbers(random, 2, channels, *sizes), normal(random, channels, to, *kernel)],
        {"group": group, "strides": [int(random.integers(1, 3))] * rank},
    )


@case("DeformConv")
def deform_conv(random: Random) -> Case:
    """Small: onnx's reference evaluator takes each element by itself."""
    channels, size = int(random.integers(1, 3)), int(random.integers(3, 5))

    def draw(random: Random) -> list[Array]:
        outputs = (size - 1, size - 1)
        return [
            numbers(random, 1, channels, size, size),
            normal(random, 2, channels, 2, 2),
            normal(random, 1, 8, *outputs),
            normal(random, 2),
            between(random, 0, 1, 1, 4, *outputs),
        ]

    return Case(draw, {"kernel_shape": [2, 2]}, opset=19)


@case("AveragePool", "LpPool", "MaxPool")
def pool(random: Random, op_type: str) -> Case:
    sizes = (2, 4, *(int(s) for s in random.integers(8, 16, 2)))
    kernel = [int(k) for k in random.integers(1, 8, 2)]
    attributes = {"kernel_shape": kernel, "strides": [int(s) for s in random.integers(1, 3, 2)]}
    if op_type == "LpPool":
        attributes["p"] = int(pick(random, 1, 2, 3))
    else:
        attributes["pads"] = [k // 3 for k in kernel] * 2
    if op_type == "AveragePool":
        attributes["count_include_pad"] = int(random.integers(2))
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(random: Random, op_type: str) -> Case:
    sizes = (2, 16, *(int(s) for s in random.integers(1, 30, 2)))
    return Case(lambda random: [numbers(random, *sizes)])


@case("Col2Im")
def col2im(random: Random) -> Case:
    h, w = (int(s) for s in random.integers(4, 9, 2))
    return Case(
        lambda random: [numbers(random, 1, 2 * 9, (h - 2) * (w - 2)), whole(h, w), whole(3, 3)], opset=18
    )


@case("DFT")
def dft(random: Random) -> Case:
    n = int(random.integers(2, 70))
    real = random.random() < 0.5
    axis = np.array(1)
    return Case(
        lambda random: [numbers(random, 2, n, 3, 1 if real else 2), None, axis],
        {"inverse": int(random.integers(2)) if not real else 0}, opset=20,
    )  # fmt: skip


@case("STFT")
def stft(random: Random) -> Case:
    length, hop = int(pick(random, 8, 16, 15, 32)), int(random.integers(2, 9))
    return Case(
        lambda random: [
            numbers(random, 2, 128, 1),
            np.array(hop),
            between(random, 0.1, 1, length),
            np.array(length),
        ],
        opset=17,
    )
