"""Detections: rounding may add, take away and reorder rows, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.reference.rounding import RandomRounding
from normdeploy.validation.compare import RowCounts
from normdeploy.validation.judge import Case, Judge
from tests.builders import FLOAT, model, parsed
from tests.validation.detector import detector, image

Array = NDArray[Any]
Outputs = Mapping[str, Array]


def run(proto: onnx.ModelProto, inputs: Outputs) -> dict[str, Array]:
    """What onnxruntime makes of it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    names = [value.name for value in proto.graph.output]
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def case_of(proto: onnx.ModelProto, inputs: Outputs, original: onnx.ModelProto | None = None) -> Case:
    ours = Evaluator(inferred(proto))
    return Judge(ours, ours if original is None else Evaluator(inferred(original))).on(inputs)


def wrong(case: Case, actual: Outputs) -> dict[str, int]:
    return {name: judged.comparison.wrong for name, judged in case.judge(actual).items()}


def rows(case: Case, actual: Outputs) -> RowCounts | None:
    return case.judge(actual)["scores"].comparison.rows


def at_threshold(seed: int, dtype: Any) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A detector whose threshold is, but for rounding, the score of one of its boxes."""
    inputs = image(seed, dtype)
    scores = np.sort(Evaluator(inferred(detector(seed, dtype=dtype))).run(inputs)["scores"])
    return detector(seed, float(scores[5 + seed % 20]), dtype=dtype), inputs


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("seed", range(10))
def test_right_runs_pass_where_rounding_decides_about_a_row(seed: int, dtype: Any) -> None:
    """onnxruntime's, and runs of the reference with errors of the size of rounding."""
    proto, inputs = at_threshold(seed, dtype)
    case = case_of(proto, inputs)
    assert sum(wrong(case, run(proto, inputs)).values()) == 0
    evaluator = Evaluator(inferred(proto))
    for other in range(3):
        disturbed = evaluator.run(inputs, rounding=RandomRounding(100 + other))
        floats = {name: array.astype(np.float32) for name, array in disturbed.items() if name != "classes"}
        assert sum(wrong(case, {**disturbed, **floats}).values()) == 0


def test_rows_that_appeared_or_vanished_are_counted() -> None:
    """The same rows, with and without the one at the threshold: whichever the reference has not."""
    seen = set()
    for seed in range(8):
        proto, inputs = at_threshold(seed, np.float32)
        least = onnx.numpy_helper.to_array(next(t for t in proto.graph.initializer if t.name == "least"))
        all_boxes = run(detector(seed, float(least[0]) - 1e-6), inputs)
        at = np.abs(all_boxes["scores"] - least) < 1e-6
        case = case_of(proto, inputs)
        without = {name: array[~at] for name, array in all_boxes.items()}
        assert not any(sum(wrong(case, actual).values()) for actual in (all_boxes, without))
        found = rows(case, all_boxes), rows(case, without)
        assert found in ((RowCounts(), RowCounts(vanished=1)), (RowCounts(appeared=1), RowCounts()))
        seen.add(found)
    assert len(seen) == 2


DEFECTS = (
    "10 % in size",
    "1 % in size",
    "one box by 10 %",
    "a row missing",
    "a row doubled",
    "a wrong class",
)


def spoiled(right: Outputs, defect: str) -> dict[str, Array]:
    actual = {name: array.copy() for name, array in right.items()}
    if defect == "10 % in size":
        actual["boxes"] *= np.float32(1.1)
    elif defect == "1 % in size":
        actual["boxes"] *= np.float32(1.01)
    elif defect == "one box by 10 %":
        actual["boxes"][3] *= np.float32(1.1)
    elif defect == "a row missing":
        actual = {name: np.delete(array, 2, 0) for name, array in actual.items()}
    elif defect == "a row doubled":
        actual = {name: np.insert(array, 2, array[2], 0) for name, array in actual.items()}
    elif defect == "a wrong class":
        actual["classes"][4] += 1
    return actual


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defects_are_caught(defect: str, dtype: Any) -> None:
    """At a threshold, where rounding decides about a row."""
    for seed in range(4):
        proto, inputs = at_threshold(seed, dtype)
        case = case_of(proto, inputs)
        found = case.judge(spoiled(run(proto, inputs), defect))
        assert sum(judged.comparison.wrong for judged in found.values()) > 0, (seed, found)


def test_a_wrong_box_is_a_wrong_box_and_no_row_too_many() -> None:
    proto, inputs = detector(), image()
    actual = spoiled(run(proto, inputs), "one box by 10 %")
    case = case_of(proto, inputs)
    assert wrong(case, actual) == {"boxes": 4, "scores": 0, "classes": 0}
    assert rows(case, actual) == RowCounts()


def test_another_order_is_wrong_where_rounding_does_not_change_it() -> None:
    proto, inputs = detector(), image()
    actual = {name: array[::-1].copy() for name, array in run(proto, inputs).items()}
    case = case_of(proto, inputs)
    found = rows(case, actual)
    assert found == RowCounts(displaced=len(actual["scores"]))
    assert wrong(case, actual)["scores"] == len(actual["scores"])


def test_a_graph_with_other_boxes_is_caught_at_a_threshold() -> None:
    original, inputs = at_threshold(1, np.float32)
    least = onnx.numpy_helper.to_array(next(t for t in original.graph.initializer if t.name == "least"))
    for scale, expected in ((1.0, False), (1.1, True), (1.01, True)):
        deployed = detector(1, float(least[0]), scale=scale)
        found = case_of(deployed, inputs, original).graph
        assert any(judged.comparison.wrong for judged in found.values()) is expected


# TopK


def top(count: int = 3) -> onnx.ModelProto:
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["s"]),
            helper.make_node("TopK", ["s", "k"], ["values", "indices"]),
        ],
        {"x": (FLOAT, [2, 6])},
        {"values": (FLOAT, [2, count]), "indices": (TensorProto.INT64, [2, count])},
        {"w": np.eye(6, dtype=np.float32), "k": np.array([count])},
    )


X = np.array([[5.0, 4.0, 4.0 + 1e-7, 1.0, 0.0, -1.0], [9.0, 7.0, 5.0, 3.0, 1.0, 0.0]])


def test_ties_of_topk_may_change_places() -> None:
    """Two scores that differ by less than rounding, in the first row of the batch only."""
    case = case_of(top(), {"x": X})
    values, indices = case.expected["values"].astype(np.float32), case.expected["indices"].copy()
    assert indices.tolist() == [[0, 2, 1], [0, 1, 2]]
    swapped = np.array([[0, 1, 2], [0, 1, 2]])
    assert wrong(case, {"values": values, "indices": swapped}) == {"values": 0, "indices": 0}
    swapped = np.array([[2, 0, 1], [0, 1, 2]])
    found = wrong(case, {"values": values[:, [1, 0, 2]], "indices": swapped})
    assert found["indices"] > 0
    swapped = np.array([[0, 2, 1], [0, 2, 1]])
    assert wrong(case, {"values": values, "indices": swapped})["indices"] > 0


def test_the_last_of_topk_may_be_another() -> None:
    case = case_of(top(2), {"x": X})
    values = case.expected["values"].astype(np.float32)
    indices = np.array([[0, 1], [0, 1]])
    assert case.expected["indices"].tolist() == [[0, 2], [0, 1]]
    found = case.judge({"values": values, "indices": indices})
    assert {name: judged.comparison.wrong for name, judged in found.items()} == {"values": 0, "indices": 0}
    assert found["indices"].comparison.rows == RowCounts(appeared=1, vanished=1)
    assert wrong(case, {"values": values, "indices": np.array([[0, 3], [0, 1]])})["indices"] > 0


# Other operators


def test_places_of_nonzero_at_a_threshold() -> None:
    proto = parsed("""
    g (float[1, 8] x) => (int64[2, N] places, float[M] values) <float half = {0.3}, float small = {0.1}> {
        y = Mul (x, small)
        z = Div (y, small)
        over = Greater (z, half)
        places = NonZero (over)
        row = Squeeze (over)
        values = Compress (z, row)
    }""")
    x = np.array([[1, 0, np.float32(0.3), 2, 0, 0, 3, 0.2]], np.float32)
    case = case_of(proto, {"x": x})
    three = {"places": np.array([[0, 0, 0], [0, 3, 6]]), "values": np.array([1, 2, 3], np.float32)}
    four = {"places": np.array([[0] * 4, [0, 2, 3, 6]]), "values": np.array([1, 0.3, 2, 3], np.float32)}
    for right in (three, four):
        assert wrong(case, right) == {"places": 0, "values": 0}
    assert wrong(case, {**four, "places": np.array([[0] * 4, [0, 1, 3, 6]])})["places"] > 0
    assert wrong(case, {**three, "values": np.array([1, 2.2, 3], np.float32)})["values"] == 1
    two = {"places": np.array([[0, 0], [0, 3]]), "values": np.array([1, 2], np.float32)}
    assert all(wrong(case, two).values())


def padded(seed: int) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The detector at a threshold, whose boxes and classes are written into tables of 90 rows."""
    proto, inputs = at_threshold(seed, np.float32)
    extra = parsed("""
    g (float[N, 4] boxes, int64[N] classes) => (float[90, 4] table, int64[90] labels)
        <int64 zero = {0}, int64 one = {1}, int64[1] ax = {1}, int64[2] size = {90, 4},
         int64[1] room = {90}> {
        empty = ConstantOfShape (size) blank = ConstantOfShape <value = int64[1] {-1}> (room)
        length = Shape <end = 1> (boxes) n = Squeeze (length) range = Range (zero, n, one)
        at = Unsqueeze (range, ax) table = ScatterND (empty, at, boxes)
        labels = ScatterND (blank, at, classes) }""")
    proto.graph.node.extend(extra.graph.node)
    proto.graph.initializer.extend(extra.graph.initializer)
    del proto.graph.output[:]
    proto.graph.output.extend(extra.graph.output)
    return proto, inputs


@pytest.mark.parametrize("seed", range(3))
def test_tables_with_room_for_all_rows_are_judged_row_by_row(seed: int) -> None:
    proto, inputs = padded(seed)
    case, right = case_of(proto, inputs), run(proto, inputs)
    assert sum(wrong(case, right).values()) == 0
    evaluator = Evaluator(inferred(proto))
    for other in range(3):
        disturbed = evaluator.run(inputs, rounding=RandomRounding(100 + other))
        disturbed["table"] = disturbed["table"].astype(np.float32)
        assert sum(wrong(case, disturbed).values()) == 0
    box = right["table"].copy()
    box[2] *= np.float32(1.1)
    assert wrong(case, {**right, "table": box})["table"] == 4
    label = right["labels"].copy()
    label[2] = (label[2] + 1) % 3
    assert sum(wrong(case, {**right, "labels": label}).values()) > 0
    order = {name: array.copy() for name, array in right.items()}
    for array in order.values():
        array[[0, 9]] = array[[9, 0]]
    assert sum(wrong(case, order).values()) > 0


def test_axes_of_another_length_hide_nothing() -> None:
    """Places have two columns, and two is no number of rows; features have no axis of that length."""
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(2, 5, 4)
    proto = parsed("""
    g (float[2, 5, 4] x) => (float[N, 4] features, int64[N, 2] places)
        <float least = {0.17948713}, int64[1] last = {2}, float three = {3.0}> {
        largest = ReduceMax <keepdims = 0> (x, last) third = Div (largest, three) back = Mul (third, three)
        over = Greater (back, least) found = NonZero (over) places = Transpose (found)
        features = GatherND (x, places) }""")
    case = case_of(proto, {"x": x})
    right = {
        name: array.astype(np.float32) if array.ndim and array.dtype == np.float64 else array
        for name, array in case.expected.items()
    }
    assert wrong(case, right) == {"features": 0, "places": 0}
    box = right["features"].copy()
    box[0] *= np.float32(1.1)
    assert wrong(case, {**right, "features": box})["features"] > 0


def test_a_missing_output_is_left_to_the_caller() -> None:
    proto, inputs = detector(), image()
    actual = run(proto, inputs)
    del actual["scores"]
    assert set(case_of(proto, inputs).judge(actual)) == {"boxes", "classes"}
