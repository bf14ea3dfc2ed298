"""Small networks for tests of verdicts, with parameters that a defect can be planted in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
_ONNX = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


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
        self_nodes: list[onnx.NodeProto] = []
        weights: dict[str, Array] = {}

        def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
            self_nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
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
        kind = _ONNX[self.dtype]
        graph = helper.make_graph(
            self_nodes,
            "network",
            [helper.make_tensor_value_info("x", kind, [2, 3, 16, 16])],
            [helper.make_tensor_value_info(value, kind, [2, 10])],
            [numpy_helper.from_array(array.astype(self.dtype), name) for name, array in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model

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
