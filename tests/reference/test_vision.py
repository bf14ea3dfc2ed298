"""Detection and warping against onnxruntime, on random boxes, scores and grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto

from normdeploy.errors import UnsupportedOperator
from normdeploy.reference import evaluate
from normdeploy.reference.vision import grid_sample, non_max_suppression
from tests.reference.against_onnxruntime import assert_as_onnxruntime, single_node

INDICES = (TensorProto.INT64,)


def detections(seed, boxes=30, classes=3):
    random = np.random.default_rng(seed)
    corners = random.random((2, boxes, 4)).astype(np.float32)
    scores = random.random((2, classes, boxes)).astype(np.float32)
    return corners, scores


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(), (1,)], ids=["scalars", "vectors"])
@pytest.mark.parametrize("centred", [0, 1])
def test_non_max_suppression(seed, shape, centred):
    """The standard's limits are scalars; its own tests have vectors."""
    boxes, scores = detections(seed)
    limits = [np.full(shape, 7, np.int64), np.full(shape, 0.3, np.float32), np.full(shape, 0.2, np.float32)]
    for count in range(4):
        inputs = [boxes, scores, *limits[:count]]
        assert_as_onnxruntime("NonMaxSuppression", inputs, INDICES, domain="", center_point_box=centred)


def test_equal_scores_go_by_index_and_empty_boxes_overlap_nothing():
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 1.02], [5, 5, 5, 5], [5, 5, 5, 5]]], np.float32)
    scores = np.full((1, 1, 4), 0.5, np.float32)
    inputs = [boxes, scores, np.array(9), np.array(0.5, np.float32)]
    assert_as_onnxruntime("NonMaxSuppression", inputs, INDICES, domain="")
    assert non_max_suppression(*inputs)[:, 2].tolist() == [0, 2, 3]


def test_no_box_is_better_than_the_threshold():
    boxes, scores = detections(0)
    found = non_max_suppression(boxes, scores, np.array(3), None, np.array(2.0))
    assert found.shape == (0, 3)
    assert found.dtype == np.int64


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("seed", range(3))
def test_grid_sample(seed, mode, align_corners, padding_mode):
    random = np.random.default_rng(seed)
    height, width = (int(size) for size in random.integers(2, 7, 2))
    x = random.standard_normal((2, 3, height, width)).astype(np.float32)
    grid = random.uniform(-1.6, 1.6, (2, 4, 5, 2)).astype(np.float32)
    attributes = {"align_corners": align_corners, "padding_mode": padding_mode}
    assert_as_onnxruntime(
        "GridSample", [x, grid], domain="", standard_opset=20, mode=mode, rtol=1e-4, **attributes
    )
    older = mode if mode == "nearest" else f"bi{mode}"
    assert_as_onnxruntime(
        "GridSample", [x, grid], domain="", standard_opset=16, mode=older, rtol=1e-4, **attributes
    )
    expected = torch.nn.functional.grid_sample(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(grid, dtype=torch.float64),
        mode=older,
        padding_mode=padding_mode,
        align_corners=bool(align_corners),
    )
    actual = grid_sample(x.astype(float), grid.astype(float), mode=mode, **attributes)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_grid_sample_in_three_dimensions(mode, padding_mode):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 2, 3, 4, 5)).astype(np.float32)
    grid = random.uniform(-1.5, 1.5, (2, 3, 2, 2, 3)).astype(np.float32)
    attributes = {"mode": mode, "padding_mode": padding_mode, "domain": "", "standard_opset": 20}
    assert_as_onnxruntime("GridSample", [x, grid], rtol=1e-4, **attributes)


def test_places_that_are_no_numbers_are_outside():
    x = np.ones((1, 1, 2, 2))
    for place in (np.nan, np.inf, -np.inf, 1e300):
        with np.errstate(all="ignore"):
            assert grid_sample(x, np.full((1, 1, 1, 2), place)).ravel().tolist() in ([0], [np.nan])


def test_modes_that_do_not_exist_are_refused():
    x, grid = np.ones((1, 1, 2, 2), np.float32), np.zeros((1, 1, 1, 2), np.float32)
    for attributes in ({"mode": "area"}, {"padding_mode": "wrap"}):
        model, feeds = single_node(
            "GridSample", [x, grid], rank=4, domain="", standard_opset=20, **attributes
        )
        with pytest.raises(UnsupportedOperator, match=r"node 'node' \(GridSample, opset 20\): .*mode '"):
            evaluate(model, feeds)
