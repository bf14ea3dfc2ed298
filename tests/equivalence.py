"""Whether two models compute the same: operators left, random inputs, the reference and onnxruntime."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

import normdeploy as nd


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
