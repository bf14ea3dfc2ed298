"""Random models of one node, and the numbers to run them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from numpy.typing import NDArray
from onnx import helper

Array = NDArray[Any]
Draw = Callable[["Random"], Sequence[Array | None]]
Operator = tuple[str, str]
"""Domain and name."""


@dataclass(frozen=True)
class Case:
    """One node with its attributes, and what draws its inputs: always of the same shapes.

    Args:
        draw: (random) -> an array for each input, None for those left out.
        attributes: of the node.
        opset: of ONNX's own domain.
        outputs: how many the node has.
    """

    draw: Draw
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 21
    outputs: int = 1

    def model(self, operator: Operator, arrays: Sequence[Array | None]) -> onnx.ModelProto:
        """The model whose only node has these inputs, all of them fed; nothing is known of its outputs."""
        domain, op_type = operator
        names = ["" if array is None else f"x{index}" for index, array in enumerate(arrays)]
        outputs = [f"y{index}" for index in range(self.outputs)]
        node = helper.make_node(op_type, names, outputs, domain=domain, **self.attributes)
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
            if array is not None
        ]
        graph = helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name=name) for name in outputs])
        imports = [helper.make_opsetid("", self.opset)]
        if domain:
            imports.append(helper.make_opsetid(domain, 1))
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def with_types(model: onnx.ModelProto, outputs: Sequence[Array]) -> onnx.ModelProto:
    """With the types and ranks that its outputs turned out to have."""
    for value, array in zip(model.graph.output, outputs, strict=True):
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        value.CopyFrom(helper.make_tensor_value_info(value.name, element, [None] * array.ndim))
    return model


CASES: dict[Operator, list[Callable[[Random], Case]]] = {}
"""Operator -> what draws a case of it: a new one for each seed."""


def case(*op_types: str, domain: str = "") -> Callable[[Callable[..., Case]], Callable[..., Case]]:
    """Register a generator of cases; one for several operators is told which one by `op_type`.

    Args:
        op_types: their names.
        domain: "" for ONNX's own.
    """

    def register(generator: Callable[..., Case]) -> Callable[..., Case]:
        for op_type in op_types:
            bound = partial(generator, op_type=op_type) if len(op_types) > 1 else generator
            CASES.setdefault((domain, op_type), []).append(bound)
        return generator

    return register


def shape(random: Generator, rank: int | None = None, most: int = 12) -> tuple[int, ...]:
    """1 to `most` along each of 1 to 4 axes, and 40 elements at least: fewer know their rounding badly."""
    rank = int(random.integers(1, 5)) if rank is None else rank
    while True:
        sizes = tuple(
            int(size) for size in random.integers(1, 100 if rank == 1 and most == 12 else most + 1, rank)
        )
        if math.prod(sizes) >= min(40, most**rank // 3) or not rank:
            return sizes


KINDS: Mapping[str, Callable[[Generator, Array], Array]] = {
    "normal": lambda random, x: x,
    "small": lambda random, x: x * 1e-3,
    "large": lambda random, x: x * 30,
    "positive": lambda random, x: np.abs(x) + 0.1,
    "offset": lambda random, x: x + 100,
    "plain": lambda random, x: np.where(random.random(x.shape) < 0.9, random.standard_normal(), x),
    "sparse": lambda random, x: np.maximum(x, 0),
}
"""What `numbers` makes of normal ones: other sizes, one sign, a mean that cancels, one value, many zeros."""


class Random(Generator):
    """A generator that says which kinds of numbers are to be drawn.

    Args:
        seed: as that of `numpy.random.default_rng`.
        kinds: of `KINDS`.
    """

    def __init__(self, seed: Sequence[int], kinds: Sequence[str] = tuple(KINDS)) -> None:
        super().__init__(np.random.PCG64(list(seed)))
        self.kinds = kinds


def numbers(random: Random, *sizes: int) -> Array:
    """Of a random kind."""
    kind = KINDS[pick(random, *random.kinds)]
    return np.asarray(kind(random, random.standard_normal(sizes)), np.float32)


def away_from_zero(x: Array) -> Array:
    """x, where it is not small against its largest number; else that."""
    largest = np.abs(x).max()
    return np.where(np.abs(x) < largest / 20, largest, x)


def normal(random: Generator, *sizes: int) -> Array:
    """Of mean 0 and variance 1."""
    return np.asarray(random.standard_normal(sizes), np.float32)


def between(random: Generator, low: float, high: float, *sizes: int) -> Array:
    """Uniform, in float32."""
    return np.asarray(random.uniform(low, high, sizes), np.float32)


def whole(*values: int) -> Array:
    """A vector of int64."""
    return np.array(values, np.int64)


def pick(random: Generator, *choices: Any) -> Any:
    """One of them."""
    return choices[int(random.integers(len(choices)))]
