"""Small networks for tests of verdicts and of the search for wrong nodes, in which defects can be planted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.builders import FLOAT, model

Array = NDArray[Any]
_ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


@dataclass(frozen=True)
class Network:
    """Conv → BN → ReLU → LRN across → Conv → LRN within (as pools) → pool → Gemm → Softmax.

    Each field is a parameter that deployments get wrong.
    """

    seed: int = 0
    dtype: str = "float32"
    depth: int = 1
    size: int = 5
    alpha: float = 5e-4
    beta: float = 0.75
    k: float = 2.0
    across: bool = True
    count_include_pad: int = 1
    epsilon: float = 1e-5
    swap_statistics: bool = False
    gemm_beta: float = 0.5
    softmax: bool = True

    def but(self, **changes: Any) -> Network:
        """The network with a defect."""
        return replace(self, **changes)

    def inputs(self, sample: int) -> dict[str, Array]:
        """Images of different contrast."""
        rng = np.random.default_rng([self.seed, sample])
        x = rng.normal(size=(2, 3, 16, 16)) * (1.0, 8.0, 64.0)[sample % 3 if self.dtype == "float32" else 0]
        return {"x": x.astype(self.dtype)}

    def model(self) -> onnx.ModelProto:
        """The network as ONNX; weights depend on the seed alone."""
        rng = np.random.default_rng(self.seed)
        nodes: list[onnx.NodeProto] = []
        weights: dict[str, Array] = {}

        def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
            nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
            return output

        def weight(name: str, array: Array) -> str:
            weights[name] = np.asarray(array)
            return name

        value, channels = "x", 3
        for layer in range(self.depth):
            filters = weight(f"w{layer}", rng.normal(size=(8, channels, 3, 3)) * np.sqrt(2 / (9 * channels)))
            value = add("Conv", [value, filters], f"conv{layer}", pads=[1, 1, 1, 1])
            mean, var = rng.normal(size=8) * 0.5, rng.uniform(0.01, 1.5, 8)
            scale, bias = rng.uniform(0.5, 1.5, 8), rng.normal(size=8) * 0.1
            if self.swap_statistics and layer == 0:
                mean[[0, 1]], var[[0, 1]] = mean[[1, 0]], var[[1, 0]]
            names = [weight(f"{n}{layer}", a) for n, a in zip("gbmv", (scale, bias, mean, var), strict=True)]
            value = add("BatchNormalization", [value, *names], f"bn{layer}", epsilon=self.epsilon)
            value = add("Relu", [value], f"relu{layer}")
            channels = 8
        if self.across:
            value = add(
                "LRN", [value], "across", size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k
            )
        else:
            value = self._within(add, weight, value, "across", self.size, self.alpha, 1)
        value = self._within(add, weight, value, "within", 3, 0.1, self.count_include_pad)
        value = add("AveragePool", [value], "pool", kernel_shape=[4, 4], strides=[4, 4])
        value = add("Flatten", [value], "flat")
        dense = weight("dense", rng.normal(size=(128, 10)) * 0.2)
        offset = weight("offset", rng.normal(size=10))
        value = add("Gemm", [value, dense, offset], "scores", beta=self.gemm_beta)
        if self.softmax:
            value = add("Softmax", [value], "probabilities", axis=1)
        element = _ELEMENTS[self.dtype]
        return model(
            nodes,
            {"x": (element, [2, 3, 16, 16])},
            {value: (element, [2, 10])},
            {name: array.astype(self.dtype) for name, array in weights.items()},
        )

    def _within(
        self, add: Any, weight: Any, x: str, name: str, size: int, alpha: float, count_include_pad: int
    ) -> str:
        """LRN within a channel by the mean of squares over a padded window."""
        square = add("Mul", [x, x], f"{name}_square")
        mean = add(
            "AveragePool", [square], f"{name}_mean", kernel_shape=[size] * 2, pads=[size // 2] * 4,
            count_include_pad=count_include_pad,
        )  # fmt: skip
        constants = [weight(f"{name}_{n}", a) for n, a in (("a", alpha), ("k", self.k), ("b", self.beta))]
        scaled = add("Mul", [mean, constants[0]], f"{name}_scaled")
        base = add("Add", [scaled, constants[1]], f"{name}_base")
        power = add("Pow", [base, constants[2]], f"{name}_power")
        return str(add("Div", [x, power], name))


def residual_network(alpha: float = 1e-2, batch: int | str = "N", prefix: str = "") -> onnx.ModelProto:
    """x -> conv1 -> relu1 -> lrn -> conv2 -> tanh -> pool -> conv3 (1x1) -> + relu1 -> y.

    Args:
        alpha: of the LRN, 1e-2 in the right network.
        batch: the first dimension.
        prefix: stands before the name of the LRN's result.
    """
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "w2": rng.standard_normal((8, 8, 3, 3)).astype(np.float32) / 4,
        "w3": rng.standard_normal((8, 8, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("LRN", ["r1"], [f"{prefix}n"], "lrn", size=5, alpha=alpha, beta=0.75, bias=2.0),
        helper.make_node("Conv", [f"{prefix}n", "w2"], ["c2"], "conv2", pads=[1] * 4),
        helper.make_node("Tanh", ["c2"], ["t"], "tanh"),
        helper.make_node("MaxPool", ["t"], ["p"], "pool", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Conv", ["p", "w3"], ["c3"], "conv3"),
        helper.make_node("Add", ["c3", "r1"], ["y"], "add"),
    ]
    return model(nodes, {"x": (FLOAT, [batch, 3, 6, 6])}, {"y": (FLOAT, [batch, 8, 6, 6])}, weights)


RESIDUAL_INPUTS = {"x": np.random.default_rng(1).standard_normal((2, 3, 6, 6), dtype=np.float32) * 8}


def branching_network() -> onnx.ModelProto:
    """y = exp(If(sum(x) > 0): relu(x) + 1, else relu(x) - 1); the branches read a tensor from outside."""
    branches = {}
    for name, op_type in (("then_branch", "Add"), ("else_branch", "Sub")):
        branches[name] = helper.make_graph(
            [helper.make_node(op_type, ["r", "one"], [f"{name}_y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, [2, 3])],
        )
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("ReduceSum", ["r"], ["s"], "sum", keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["g"], "greater"),
        helper.make_node("If", ["g"], ["b"], "if", **branches),
        helper.make_node("Exp", ["b"], ["y"], "exp"),
    ]
    constants = {"one": np.array(1, np.float32), "zero": np.array(0, np.float32)}
    return model(nodes, {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}, constants)
