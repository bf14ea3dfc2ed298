"""A small detector: convolutions give boxes and scores, NonMaxSuppression selects some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.builders import FLOAT, model

SIZE, CLASSES = 12, 3


def detector(
    seed: int = 0, threshold: float = 0.7, scale: float = 1.0, dtype: Any = np.float32
) -> onnx.ModelProto:
    """x [1, 3, 12, 12] -> boxes [N, 4], scores [N], classes [N].

    Args:
        seed: of the weights.
        threshold: scores below it are no detection.
        scale: what sizes and centres of boxes are multiplied by after the selection; 1 is right.
        dtype: of all floating tensors up to the selection.
    """
    rng = np.random.default_rng(seed)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    centres = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1).reshape(1, -1, 2)
    anchors = np.concatenate([centres, np.full_like(centres, 3)], -1)
    weights: dict[str, NDArray[Any]] = {
        "w": (rng.normal(size=(16, 3, 3, 3)) / 4).astype(dtype),
        "w_boxes": (rng.normal(size=(4, 16, 1, 1)) / 8).astype(dtype),
        "w_scores": (rng.normal(size=(CLASSES, 16, 1, 1)) / 2).astype(dtype),
        "anchors": anchors.astype(dtype),
        "box_shape": np.array([1, 4, -1]),
        "score_shape": np.array([1, CLASSES, -1]),
        "most": np.array([30]),
        "iou": np.array([0.4], np.float32),
        "least": np.array([threshold], np.float32),
        "columns": np.array([0, 2]),
        "class": np.array(1),
        "scale": np.array(scale, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["features"]),
        helper.make_node("Conv", ["features", "w_boxes"], ["offsets"]),
        helper.make_node("Reshape", ["offsets", "box_shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Add", ["turned", "anchors"], ["candidates"]),
        helper.make_node("Conv", ["features", "w_scores"], ["logits"]),
        helper.make_node("Reshape", ["logits", "score_shape"], ["rows"]),
        helper.make_node("Sigmoid", ["rows"], ["probabilities"]),
        helper.make_node("Cast", ["candidates"], ["all_boxes"], to=FLOAT),
        helper.make_node("Cast", ["probabilities"], ["all_scores"], to=FLOAT),
        helper.make_node(
            "NonMaxSuppression",
            ["all_boxes", "all_scores", "most", "iou", "least"],
            ["selected"],
            center_point_box=1,
        ),
        helper.make_node("Gather", ["selected", "columns"], ["places"], axis=1),
        helper.make_node("GatherND", ["all_boxes", "places"], ["found"]),
        helper.make_node("Mul", ["found", "scale"], ["boxes"]),
        helper.make_node("GatherND", ["all_scores", "selected"], ["scores"]),
        helper.make_node("Gather", ["selected", "class"], ["classes"], axis=1),
    ]
    return model(
        nodes,
        {"x": (element, [1, 3, SIZE, SIZE])},
        {
            "boxes": (FLOAT, ["N", 4]),
            "scores": (FLOAT, ["N"]),
            "classes": (TensorProto.INT64, ["N"]),
        },
        weights,
    )


def image(seed: int = 0, dtype: Any = np.float32) -> dict[str, NDArray[Any]]:
    """An input of the detector."""
    return {"x": np.random.default_rng([7, seed]).normal(size=(1, 3, SIZE, SIZE)).astype(dtype)}
