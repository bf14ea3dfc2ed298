"""Operators as onnxruntime stores them for providers that want channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.errors import UnsupportedOperator
from normdeploy.reference import evaluate

DOMAIN = "com.ms.internal.nhwc"
RANDOM = np.random.default_rng(0)


def node(
    op_type: str, arrays: list[np.ndarray | None], domain: str, opset: int, **attributes: Any
) -> np.ndarray:
    """What the reference makes of one node, whose inputs are the graph's."""
    feeds = {f"x{index}": array for index, array in enumerate(arrays) if array is not None}
    names = ["" if array is None else f"x{index}" for index, array in enumerate(arrays)]
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    graph = helper.make_graph(
        [helper.make_node(op_type, names, ["y"], domain=domain, **attributes)],
        "one",
        [helper.make_tensor_value_info(name, kinds[name], array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info("y", kinds["x0"], [None] * arrays[0].ndim)],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, opset)]
    return evaluate(helper.make_model(graph, opset_imports=imports, ir_version=8), feeds)["y"]


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


X = normal(2, 4, 5, 6)
CASES: list[tuple[str, list[np.ndarray | None], dict[str, Any]]] = [
    ("Conv", [X, normal(6, 2, 3, 3), normal(6)], {"group": 2, "pads": [1, 0, 1, 0], "strides": [1, 2]}),
    ("ConvTranspose", [X, normal(4, 3, 3, 2), normal(3)], {"strides": [2, 1]}),
    ("MaxPool", [X], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
    ("AveragePool", [X], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1}),
    ("GlobalAveragePool", [X], {}),
    ("GlobalMaxPool", [X], {}),
    ("LpPool", [X], {"kernel_shape": [2, 2]}),
    ("LRN", [X], {"size": 3, "alpha": 0.1, "bias": 2.0}),
    ("BatchNormalization", [X, normal(4), normal(4), normal(4), np.abs(normal(4))], {}),
    ("InstanceNormalization", [X, normal(4), normal(4)], {}),
    ("DepthToSpace", [X], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", [normal(2, 4, 6, 4)], {"blocksize": 2}),
    ("GridSample", [X, normal(2, 3, 3, 2)], {"align_corners": 1}),
]


@pytest.mark.parametrize("opset", [16, 21])
@pytest.mark.parametrize(("op_type", "arrays", "attributes"), CASES, ids=[case[0] for case in CASES])
def test_only_the_data_has_its_channels_last(
    op_type: str, arrays: list[np.ndarray], attributes: dict[str, Any], opset: int
) -> None:
    moved = [np.moveaxis(arrays[0], 1, -1), *arrays[1:]]
    found = node(op_type, moved, DOMAIN, opset, **attributes)
    expected = node(op_type, list(arrays), "", opset, **attributes)
    np.testing.assert_array_equal(found, np.moveaxis(expected, 1, -1))


def test_a_resize_has_scales_in_the_datas_order() -> None:
    scales = np.array([1, 2, 3, 1], np.float32)
    found = node("Resize", [np.moveaxis(X, 1, -1), None, scales], DOMAIN, 13, mode="nearest")
    expected = node("Resize", [X, None, scales[[0, 3, 1, 2]]], "", 13, mode="nearest")
    np.testing.assert_array_equal(found, np.moveaxis(expected, 1, -1))


def test_quantized_operators_are_told() -> None:
    x = RANDOM.integers(0, 256, (1, 5, 5, 3)).astype(np.uint8)
    w = RANDOM.integers(-128, 128, (2, 3, 3, 3)).astype(np.int8)
    one, zero, weights = np.float32(0.1), np.uint8(7), np.int8(0)
    parameters = [np.asarray(item) for item in (one, zero)]
    rest = [*parameters, w, np.asarray(one), np.asarray(weights), *parameters]
    found = node("QLinearConv", [x, *rest], DOMAIN, 13)
    expected = node("QLinearConv", [np.moveaxis(x, -1, 1), *rest], "", 13)
    np.testing.assert_array_equal(found, np.moveaxis(expected, 1, -1))


def test_activations_are_fused_into_some() -> None:
    x, w = np.moveaxis(X, 1, -1), normal(3, 4, 1, 1)
    plain = node("Conv", [x, w], DOMAIN, 17)
    found = node("Conv", [x, w], DOMAIN, 17, activation="Clip", activation_params=[0.0, 0.5])
    np.testing.assert_array_equal(found, np.clip(plain, 0, 0.5))


def test_positions_of_the_largest_numbers_are_not_computed() -> None:
    graph = helper.make_graph(
        [helper.make_node("MaxPool", ["x"], ["y", "i"], domain=DOMAIN, kernel_shape=[2, 2])],
        "pool",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4, 4, 2])],
        [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [1, 3, 3, 2])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 17)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    with pytest.raises(UnsupportedOperator, match="outputs beside the first"):
        evaluate(model, {"x": normal(1, 4, 4, 2)})
