"""Cases of functions of single elements."""

from __future__ import annotations

import numpy as np

from tests.reference.rounding.case import (
    Array,
    Case,
    Random,
    away_from_zero,
    between,
    case,
    normal,
    numbers,
    pick,
    shape,
)

DOMAINS = {
    "Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-0.99, 0.99), "Acosh": (1, 20), "Log": (1e-6, 20),
    "Sqrt": (0, 1e3), "Tan": (-20, 20), "Sin": (-20, 20), "Cos": (-20, 20),
}  # fmt: skip
OPSETS = {"Swish": 24, "Upsample": 9, "Scatter": 10}


@case(*DOMAINS)
def limited(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    low, high = DOMAINS[op_type]

    def draw(random: Random) -> list[Array]:
        scale = pick(random, 1.0, 1.0, 0.1) if low < 0 else 1.0
        return [between(random, low * scale, high * scale, *sizes)]

    return Case(draw)


@case("Cosh", "Exp", "Sinh")
def exponential(random: Random, op_type: str) -> Case:
    """Of arguments around one: the rounding of results of many sizes is known badly, see `noise`."""
    sizes = shape(random)

    def draw(random: Random) -> list[Array]:
        return [between(random, -3, 3, *sizes) + np.float32(random.uniform(-60, 60))]

    return Case(draw)


@case(
    "Abs", "Asinh", "Atan", "Ceil", "Erf", "Floor", "HardSwish", "Mish", "Neg", "Relu", "Round", "Sigmoid",
    "Sign", "Softplus", "Softsign", "Tanh", "Identity", "IsInf", "IsNaN", "Swish",
)  # fmt: skip
def of_any_number(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)], opset=OPSETS.get(op_type, 21))


@case("Reciprocal")
def reciprocal(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [away_from_zero(numbers(random, *sizes))])


@case("Celu", "Elu", "LeakyRelu", "ThresholdedRelu")
def with_alpha(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)], {"alpha": float(random.uniform(0.1, 2))})


@case("Selu")
def selu(random: Random) -> Case:
    sizes = shape(random)
    attributes = pick(
        random, {}, {"alpha": float(random.uniform(1, 2)), "gamma": float(random.uniform(1, 2))}
    )
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("HardSigmoid")
def hard_sigmoid(random: Random) -> Case:
    sizes = shape(random)
    attributes = pick(
        random, {}, {"alpha": float(random.uniform(0.1, 1)), "beta": float(random.uniform(0, 1))}
    )
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("Gelu")
def gelu(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)], {"approximate": pick(random, "none", "tanh")})


@case("Shrink")
def shrink(random: Random) -> Case:
    sizes = shape(random)
    attributes = {"bias": float(random.uniform(0, 1)), "lambd": float(random.uniform(0, 1))}
    return Case(lambda random: [numbers(random, *sizes)], attributes)


@case("PRelu")
def prelu(random: Random) -> Case:
    sizes = shape(random, 4)
    slopes = pick(random, sizes, (sizes[1], 1, 1), (1,))
    return Case(lambda random: [numbers(random, *sizes), normal(random, *slopes)])


@case("Add", "Sub", "Mul", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def of_two(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    other = pick(random, sizes, sizes[1:], tuple(1 for _ in sizes))

    def draw(random: Random) -> list[Array]:
        b = numbers(random, *other)
        return [numbers(random, *sizes), away_from_zero(b) if op_type == "Div" else b]

    return Case(draw)


@case("Pow")
def power(random: Random) -> Case:
    sizes = shape(random)

    def draw(random: Random) -> list[Array]:
        if random.random() < 0.3:
            return [numbers(random, *sizes), np.full(sizes, random.integers(0, 4), np.float32)]
        return [between(random, 1e-3, 20, *sizes), between(random, -3, 3, *sizes)]

    return Case(draw)


@case("Mod")
def modulo(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [normal(random, *sizes) * 10, between(random, 1, 5, *sizes)], {"fmod": 1})


@case("Sum", "Mean", "Max", "Min")
def of_many(random: Random, op_type: str) -> Case:
    sizes, count = shape(random), int(random.integers(1, 6))
    return Case(lambda random: [numbers(random, *sizes) for _ in range(count)])


@case("Clip")
def clip(random: Random) -> Case:
    sizes = shape(random)
    limits = [np.array(random.uniform(-2, 0), np.float32), np.array(random.uniform(0, 2), np.float32)]
    return Case(lambda random: [numbers(random, *sizes), *limits])


@case("And", "Or", "Xor")
def of_two_booleans(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [random.random(sizes) < 0.5, random.random(sizes) < 0.5])


@case("Not")
def negation(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [random.random(sizes) < 0.5])


@case("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def of_two_integers(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [random.integers(0, 99, sizes, np.int32) for _ in range(2)])


@case("BitwiseNot")
def bitwise_not(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [random.integers(0, 99, sizes, np.int32)])


@case("BitShift")
def shift(random: Random) -> Case:
    sizes = shape(random)
    return Case(
        lambda random: [random.integers(0, 99, sizes, np.uint32), random.integers(0, 5, sizes, np.uint32)],
        {"direction": pick(random, "LEFT", "RIGHT")},
    )
