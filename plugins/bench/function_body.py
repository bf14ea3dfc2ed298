"""TensorRT-RTX running the operator's function body: what a model does where the plugin is not loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from problems import Problem

_ONNX_TYPES = {"float32": 1, "float16": 10, "bfloat16": 16}


class NotHere(Exception):
    """TensorRT-RTX or what it takes is missing or refuses the model; the message says which."""


def function_body_model(problem: Problem, alpha: float, beta: float, bias: float) -> bytes:
    """An ONNX model of one node and its body."""
    import onnx
    import onnx_ir as ir

    from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN, add_function

    attributes = {"size": problem.size, "alpha": alpha, "beta": beta, "bias": bias}
    node = onnx.helper.make_node(INTRA_CHANNEL_LRN, ["x"], ["y"], domain=DOMAIN, **attributes)
    type_ = _ONNX_TYPES[problem.type]
    values = [onnx.helper.make_tensor_value_info(name, type_, problem.shape) for name in "xy"]
    graph = onnx.helper.make_graph([node], "lrn", values[:1], values[1:])
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid(DOMAIN, 1)]
    model = ir.from_proto(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10))
    add_function(model)
    proto: onnx.ModelProto = ir.to_proto(model)
    return proto.SerializeToString()


def build_engine(trt: Any, logger: Any, model: bytes) -> Any:
    """The engine of a model, serialized.

    Raises:
        NotHere: TensorRT-RTX refuses the model.
    """
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise NotHere(f"the parser refuses the model: {parser.get_error(0).desc()}")
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    if plan is None:
        raise NotHere("the engine does not build")
    return plan


def load_module() -> Any:
    """TensorRT-RTX's Python module.

    Raises:
        NotHere: it is not installed.
    """
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise NotHere("tensorrt_rtx is not installed")


def function_body(
    problem: Problem, alpha: float, beta: float, bias: float
) -> Callable[[Any, Any, int], None]:
    """Return run(x, y, stream) on CUDA tensors in NCHW.

    Raises:
        NotHere: it cannot run here.
    """
    trt = load_module()
    try:
        model = function_body_model(problem, alpha, beta, bias)
    except ImportError as error:
        raise NotHere(str(error)) from error
    logger = trt.Logger(trt.Logger.ERROR)
    plan = build_engine(trt, logger, model)
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise NotHere("the engine does not load")
    context = engine.create_execution_context()

    def run(x: Any, y: Any, stream: int, _keep: tuple[Any, ...] = (runtime, engine)) -> None:
        context.set_tensor_address("x", x.data_ptr())
        context.set_tensor_address("y", y.data_ptr())
        if not context.execute_async_v3(stream):
            raise RuntimeError("TensorRT-RTX reports an error")

    return run
