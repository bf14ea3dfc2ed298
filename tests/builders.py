"""Builders of small ONNX models: `model` from parts, `Graph` node by node, and a few by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT
BN = "BatchNormalization"

Dims = Sequence[int | str | None]


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Dims]],
    outputs: Mapping[str, tuple[int, Dims]],
    weights: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of IR version 8; inputs and outputs are name -> (element type, shape)."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, *declared) for name, declared in inputs.items()],
        [helper.make_tensor_value_info(name, *declared) for name, declared in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


WITHOUT_NUMBERS = {
    "an empty input": "g (float[N, 0] x) => (float[N, 0] y) { y = Relu (x) }",
    "an empty output": "g (float[N, 4] x) => (float[0, 4] y) <int64[1] z = {0}> { y = Slice (x, z, z) }",
    "no number": "g (float[N, 4] x) => (float[N, 4] y) { e = Exp (x) n = Neg (e) y = Log (n) }",
    "infinities": "g (float[N, 4] x) => (float[N, 4] y) <float z = {0}> { e = Exp (x) y = Div (e, z) }",
    "both": "g (float[N, 4] x) => (float[N, 4] y) <float z = {0}> { y = Div (x, z) }",
    "no integers": "g (float[N, 0] x) => (int64[N, 0] y) { y = Cast <to = 7> (x) }",
}
"""Graphs with one input `x` whose output `y` has no finite number, whatever they are given."""


def parsed(
    graph: str, functions: str = "", opsets: str = '"": 21, "local": 1, "normdeploy": 1'
) -> onnx.ModelProto:
    """A model of IR version 10 from ONNX's text form: a graph, and model-local functions."""
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{opsets}]>\n{graph}\n{functions}")


def conv_lrn(
    alpha: float = 1e-2,
    beta: float = 0.75,
    bias: float = 2.0,
    size: int = 5,
    dtype: type = np.float32,
    batch: int | str = "N",
    spatial: int | str = 6,
) -> onnx.ModelProto:
    """x (batch, 3, spatial, spatial) -> Conv -> LRN -> y (batch, 8, spatial, spatial)."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(dtype)
    return model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1] * 4),
            helper.make_node("LRN", ["c"], ["y"], name="lrn", size=size, alpha=alpha, beta=beta, bias=bias),
        ],
        {"x": (element, [batch, 3, spatial, spatial])},
        {"y": (element, [batch, 8, spatial, spatial])},
        {"w": weights},
    )


def classifier(classes: int = 4, batch: int | str = "N") -> onnx.ModelProto:
    """x (batch, 6) -> MatMul with the identity's first rows -> scores (batch, classes)."""
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        {"x": (onnx.TensorProto.FLOAT, [batch, 6])},
        {"scores": (onnx.TensorProto.FLOAT, [batch, classes])},
        {"w": np.eye(6, classes, dtype=np.float32)},
    )


def unary(
    op_type: str,
    dims: Dims,
    element: int = onnx.TensorProto.FLOAT,
    output_dims: Dims | None = None,
    **attributes,
) -> onnx.ModelProto:
    """x -> one node -> y."""
    return model(
        [helper.make_node(op_type, ["x"], ["y"], **attributes)],
        {"x": (element, dims)},
        {"y": (element, dims if output_dims is None else output_dims)},
    )


class Graph:
    """Builds a model node by node; parameters are drawn at random."""

    def __init__(
        self, dtype=np.float32, opset: int = 17, ir_version: int = 8, seed: int = 0, stat_dtype=None
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.stat_dtype = np.dtype(stat_dtype or dtype)
        self.opset = opset
        self.ir_version = ir_version
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.inputs: dict[str, tuple[int, Sequence]] = {}
        self.functions: list[onnx.FunctionProto] = []
        self._count = 0

    def input(self, name: str, *dims, element: int | None = None) -> str:
        self.inputs[name] = (element or helper.np_dtype_to_tensor_dtype(self.dtype), dims)
        return name

    def weight(self, array, dtype=None, name: str | None = None) -> str:
        name = name or f"w{len(self.weights)}"
        self.weights[name] = np.asarray(array).astype(dtype or self.dtype)
        return name

    def normal(self, *shape, scale: float = 1.0, **keywords) -> str:
        return self.weight(self.random.standard_normal(shape) * scale, **keywords)

    def node(self, op_type: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes) -> str:
        self._count += 1
        name = f"{op_type.lower()}_{self._count}"
        names = [name + "_out" if index == 0 else f"{name}_out{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=name, domain=domain, **attributes))
        return names[0]

    def statistics(self, channels: int) -> list[str]:
        """Scale, bias, mean and variance, as initializers."""
        arrays = (
            self.random.uniform(0.5, 2, channels) * self.random.choice([-1, 1], channels),
            self.random.standard_normal(channels),
            self.random.standard_normal(channels),
            self.random.uniform(0.5, 2, channels),
        )
        return [self.weight(array, self.stat_dtype) for array in arrays]

    def bn(self, x: str, channels: int, **attributes) -> str:
        return self.node(BN, x, *self.statistics(channels), **attributes)

    def conv(
        self, x: str, channels: int, to: int, kernel: int = 3, rank: int = 2, group=1, bias=True, **attributes
    ):
        shape = (to, channels // group, *[kernel] * rank)
        inputs = [x, self.normal(*shape, scale=(channels // group * kernel**rank) ** -0.5)]
        if bias:
            inputs.append(self.normal(to))
        return self.node("Conv", *inputs, group=group, **attributes)

    def model(self, *outputs: str, weights_as_inputs: bool = False) -> onnx.ModelProto:
        inputs = dict(self.inputs)
        if weights_as_inputs:
            inputs |= {
                name: (helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in self.weights.items()
            }
        element = helper.np_dtype_to_tensor_dtype(self.dtype)
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(name, *declared) for name, declared in inputs.items()],
            [helper.make_tensor_value_info(name, element, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(name, 1) for name in {item.domain for item in self.functions}]
        model = helper.make_model(
            graph, opset_imports=imports, ir_version=self.ir_version, functions=self.functions
        )
        inferred = onnx.shape_inference.infer_shapes(model).graph.output
        for value, known in zip(model.graph.output, inferred, strict=True):
            value.CopyFrom(known)
            if not value.type.tensor_type.HasField("shape"):  # behind a function
                value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=[{}] * 4))
        return model


def data_file(path: Path) -> Path:
    """The file of tensors that was written beside a model: `<name>.<hash of its content>.data`."""
    (found,) = path.parent.glob(f"{path.name}.????????????????.data")
    return found
