"""Small graphs around BatchNormalization, and what to check of the optimized ones."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

import normdeploy as nd

FLOAT = onnx.TensorProto.FLOAT
BN = "BatchNormalization"


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


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def random_inputs(model: onnx.ModelProto, seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    stored = {tensor.name for tensor in model.graph.initializer}
    arrays = {}
    for value in model.graph.input:
        if value.name not in stored:
            tensor = value.type.tensor_type
            shape = [dim.dim_value or 3 for dim in tensor.shape.dim]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            drawn = random.standard_normal(shape) > 0 if dtype.kind == "b" else random.standard_normal(shape)
            arrays[value.name] = np.asarray(drawn).astype(dtype)
    return arrays


UNITS = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}
"""How far folded parameters, rounded once to their type, may move the result, relative to its magnitude."""


def assert_same(
    before: onnx.ModelProto, after: onnx.ModelProto, inputs: Mapping[str, np.ndarray] | None = None
) -> None:
    """Both compute the same in float64, and the second passes the checker."""
    onnx.checker.check_model(after, full_check=True)
    assert [item.name for item in before.graph.output] == [item.name for item in after.graph.output]
    inputs = inputs or random_inputs(before)
    expected, actual = nd.evaluate(before, inputs), nd.evaluate(after, inputs)
    element = helper.tensor_dtype_to_np_dtype(before.graph.output[0].type.tensor_type.elem_type)
    for name, right in expected.items():
        scale = max(float(np.sqrt(np.mean(np.square(right)))), 1e-30)
        np.testing.assert_allclose(actual[name], right, rtol=0, atol=UNITS[element.name] * scale * 4)


def run_in_onnxruntime(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(inputs))


def optimized(model: onnx.ModelProto):
    """The result, after checks that hold for every model: same numbers, valid, idempotent."""
    before = model.SerializeToString(deterministic=True)
    result = nd.optimize(model)
    assert model.SerializeToString(deterministic=True) == before, "the model given was changed"
    assert_same(model, result.model)
    again = nd.optimize(result.model).model.graph
    assert list(again.node) == list(result.model.graph.node), "a second run changed something"
    assert list(again.initializer) == list(result.model.graph.initializer), "a second run changed something"
    return result
