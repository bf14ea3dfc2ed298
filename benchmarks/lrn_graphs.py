"""LRN as others write it in ONNX: the operator, torch's decomposition, a pool with Pow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from normdeploy import LRN

OPSET = 17


def model(
    nodes: list[onnx.NodeProto],
    shape: tuple[int, ...],
    constants: Mapping[str, np.ndarray] | None = None,
    domain: str = "",
) -> onnx.ModelProto:
    """A model from x to y of one shape."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    graph = helper.make_graph(nodes, "lrn", [x], [y], tensors)
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def operator(spec: LRN, shape: tuple[int, ...]) -> onnx.ModelProto:
    """One node: LRN, or normdeploy.IntraChannelLRN."""
    domain = "" if spec.region == "across" else "normdeploy"
    op_type = "IntraChannelLRN" if domain else "LRN"
    attributes = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
    node = helper.make_node(op_type, ["x"], ["y"], "lrn", domain=domain, **attributes)
    return model([node], shape, domain=domain)


def torch_nodes(
    x: str, y: str, shape: tuple[int, ...], spec: LRN
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """What torch.onnx writes for LocalResponseNorm on (N, C, H, W); nodes, and their constants."""
    n, c, h, w = shape
    before, after = spec.window
    constants = {
        f"{y}.view": np.array([n, 1, c, h, -1]),
        f"{y}.pads": np.array([0, 0, before, 0, 0, 0, 0, after, 0, 0]),
        f"{y}.shape": np.array([n, c, h, w]),
        f"{y}.one": np.array([1]),
        **_scalars(y, spec),
    }
    nodes = [
        helper.make_node("Mul", [x, x], [f"{y}.square"]),
        helper.make_node("Reshape", [f"{y}.square", f"{y}.view"], [f"{y}.planes"]),
        helper.make_node("Pad", [f"{y}.planes", f"{y}.pads"], [f"{y}.padded"]),
        helper.make_node(
            "AveragePool",
            [f"{y}.padded"],
            [f"{y}.means"],
            kernel_shape=[spec.size, 1, 1],
            count_include_pad=1,
        ),
        helper.make_node("Squeeze", [f"{y}.means", f"{y}.one"], [f"{y}.squeezed"]),
        helper.make_node("Reshape", [f"{y}.squeezed", f"{y}.shape"], [f"{y}.mean"]),
        *_quotient(x, y),
    ]
    return nodes, constants


def as_torch(spec: LRN, shape: tuple[int, ...]) -> onnx.ModelProto:
    """What torch.onnx writes for LocalResponseNorm."""
    nodes, constants = torch_nodes("x", "y", shape, spec)
    return model(nodes, shape, constants)


def pool_with_pow(spec: LRN, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Within a channel: one AveragePool of n×n, and Pow."""
    before, after = spec.window
    pool = helper.make_node(
        "AveragePool",
        ["square"],
        ["y.mean"],
        kernel_shape=[spec.size] * 2,
        pads=[before, before, after, after],
        count_include_pad=1,
    )
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), pool, *_quotient("x", "y")]
    return model(nodes, shape, _scalars("y", spec))


def _scalars(y: str, spec: LRN) -> dict[str, np.ndarray]:
    values = {"alpha": spec.alpha, "k": spec.k, "beta": spec.beta}
    return {f"{y}.{name}": np.array(value, np.float32) for name, value in values.items()}


def _quotient(x: str, y: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Mul", [f"{y}.mean", f"{y}.alpha"], [f"{y}.scaled"]),
        helper.make_node("Add", [f"{y}.scaled", f"{y}.k"], [f"{y}.base"]),
        helper.make_node("Pow", [f"{y}.base", f"{y}.beta"], [f"{y}.power"]),
        helper.make_node("Div", [x, f"{y}.power"], [y]),
    ]
