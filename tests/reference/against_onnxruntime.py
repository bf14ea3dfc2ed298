"""One node in onnxruntime, without optimizations, and in the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from normdeploy.reference import evaluate


def single_node(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    outputs: Sequence[int] = (onnx.TensorProto.FLOAT,),
    domain: str = "com.microsoft",
    standard_opset: int = 17,
    rank: int | None = None,
    **attributes,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model of one node whose inputs are the graph's, and their arrays.

    Args:
        op_type, inputs, domain, standard_opset, attributes: of the node.
        outputs: their element types, 0 for one that is left out.
        rank: of the outputs; None leaves it to the runtime.
    """
    feeds = {f"x{index}": array for index, array in enumerate(inputs) if array is not None}
    names = ["" if array is None else f"x{index}" for index, array in enumerate(inputs)]
    results = [f"y{index}" if element else "" for index, element in enumerate(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, results, domain=domain, name="node", **attributes)],
        op_type,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ],
        [
            helper.make_tensor_value_info(name, element, None if rank is None else [None] * rank)
            for name, element in zip(results, outputs, strict=True)
            if element
        ],
    )
    imports = [helper.make_opsetid("", standard_opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8), feeds


def ranked(name: str, element: int, rank: int) -> onnx.ValueInfoProto:
    """A tensor's declaration with a rank, as onnx.checker wants it."""
    return helper.make_tensor_value_info(name, element, [None] * rank)


def session(model: onnx.ModelProto, level: str = "ORT_DISABLE_ALL") -> onnxruntime.InferenceSession:
    """Of onnxruntime's CPU provider, with one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def in_onnxruntime(
    model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], level: str = "ORT_DISABLE_ALL"
) -> dict[str, np.ndarray]:
    """What onnxruntime's CPU provider makes of a model."""
    backend = session(model, level)
    names = [output.name for output in backend.get_outputs()]
    return dict(zip(names, backend.run(None, dict(feeds)), strict=True))


def assert_as_onnxruntime(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    outputs: Sequence[int] = (onnx.TensorProto.FLOAT,),
    *,
    rtol: float = 2e-5,
    ties: int = 0,
    **attributes,
) -> None:
    """The reference's outputs are onnxruntime's: floats up to rtol · their largest, integers but for ties.

    Args:
        op_type, inputs, outputs, attributes: see `single_node`.
        rtol: relative to the largest element.
        ties: how many integers may differ, by one.
    """
    model, feeds = single_node(op_type, inputs, outputs, **attributes)
    expected = in_onnxruntime(model, feeds)
    for value in model.graph.output:
        value.CopyFrom(ranked(value.name, value.type.tensor_type.elem_type, expected[value.name].ndim))
    actual = evaluate(model, feeds)
    assert list(actual) == list(expected)
    for name, right in expected.items():
        assert actual[name].shape == right.shape, name
        if right.dtype.kind == "f":
            scale = max(float(np.abs(right).max(initial=0.0)), 1e-30)
            np.testing.assert_allclose(actual[name], right, rtol=0, atol=rtol * scale, err_msg=name)
        else:
            assert actual[name].dtype == right.dtype, name
            difference = np.abs(actual[name].astype(np.int64) - right.astype(np.int64))
            assert difference.max(initial=0) <= (1 if ties else 0), name
            assert np.count_nonzero(difference) <= ties, name


@cache
def schemas() -> dict[tuple[str, str], set[str]]:
    """(domain, operator) -> the names of its attributes, of all that onnxruntime knows."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return {(item.domain, item.name): set(item.attributes) for item in state.get_all_operator_schema()}


@cache
def schema_defaults() -> dict[tuple[str, str], dict[str, object]]:
    """(domain, operator) -> its attributes that have a default, of all that onnxruntime knows."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return {
        (item.domain, item.name): {
            name: helper.get_attribute_value(onnx.AttributeProto.FromString(attribute._default_value))
            for name, attribute in item.attributes.items()
            if attribute._default_value
        }
        for item in state.get_all_operator_schema()
    }
