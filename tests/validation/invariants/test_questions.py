"""What backends are asked; and that right runs hold every invariant."""

from functools import partial

import numpy as np
import pytest

from normdeploy.backends.onnxruntime import open_cpu
from normdeploy.errors import BackendCrashed
from normdeploy.graph.inference import inferred
from normdeploy.graph.io import save
from normdeploy.inputs.ranges import Range
from normdeploy.reference import Evaluator
from normdeploy.validation.invariants.examination import examine
from normdeploy.validation.invariants.questions import questions_about
from normdeploy.validation.invariants.result import NAMES
from tests.builders import conv_lrn, parsed
from tests.validation.examinees import examinee
from tests.validation.random_models import KINDS, random_model

RIGHT_RUNS = 220


def questions(model, samples, original=None, ranges=None):
    return questions_about(examinee(model, original=original), samples, ranges or {})


def run(session, inputs):
    try:
        return session.run(inputs)
    except Exception as error:
        raise BackendCrashed(str(error)) from error


def asked_of_onnxruntime(model, samples, folder):
    """In this process; a session for the model, and one for that with further outputs."""
    found = questions(model, samples)
    for name, each in (("model", inferred(model)), ("tapped", found.with_extra_outputs)):
        save(each, folder / f"{name}.onnx")
    session = open_cpu(folder / "model.onnx")
    tapped = open_cpu(folder / "tapped.onnx") if found.extra_outputs else session
    return examine(found, "onnxruntime", partial(run, session), partial(run, tapped), is_right=True)


@pytest.mark.parametrize("part", range(10))
def test_right_runs_hold_every_invariant(tmp_path, part):
    """Open and fixed batches, three types of floats, integers, quantized numbers, and rows that depend on
    each other: none is refused, and each invariant is asked of most that have it."""
    passed = dict.fromkeys(NAMES, 0)
    seeds = range(part, RIGHT_RUNS, 10)
    for seed in seeds:
        drawn = random_model(seed)
        for found in asked_of_onnxruntime(drawn.model, drawn.samples, tmp_path):
            assert found.status in ("pass", "skipped"), f"seed {seed}, {drawn.kind}: {found}"
            assert found.reason or found.status == "pass"
            passed[found.name] += found.status == "pass"
    assert passed["repeated-runs"] == len(seeds)
    assert min(passed.values()) > len(seeds) / 3


def test_the_random_models_are_of_all_kinds():
    drawn = [random_model(seed) for seed in range(RIGHT_RUNS)]
    assert {each.kind for each in drawn} == {kind.__name__ for kind in KINDS}
    types = {str(array.dtype) for each in drawn for array in each.samples[0].values()}
    assert types == {"float16", "float32", "float64", "int64", "uint8"}


def test_a_model_that_mixes_its_rows_is_not_asked_what_it_does_not_have(tmp_path):
    model = parsed(
        "g (float[N, 4] x) => (float[N, 4] y, float[N, 4] z) { y = Exp (x) z = Softmax <axis = 0> (x) }"
    )
    x = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    found = {each.name: each for each in asked_of_onnxruntime(model, [{"x": x}], tmp_path)}
    assert found["batch-sizes"].reason == "not asked of 'z': there the model mixes its rows"
    assert {found[name].status for name in ("batch-sizes", "equal-rows", "permuted-rows")} == {"pass"}
    cumulative = parsed(
        "g (float[N, 4] x) => (float[N, 4] y) { c = Constant <value_int = 0> () y = CumSum (x, c) }"
    )
    found = {each.name: each for each in asked_of_onnxruntime(cumulative, [{"x": x}], tmp_path)}
    for name in ("batch-sizes", "equal-rows", "permuted-rows"):
        assert found[name].status == "skipped"
        assert found[name].reason.startswith("the model mixes its rows")
    assert found["shape-corners"].status == found["repeated-runs"].status == "pass"


X = {"x": np.random.default_rng(0).normal(size=(1, 3, 6, 6)).astype(np.float32)}


def test_corners_are_judged_by_the_original():
    found = questions(conv_lrn(spatial="S"), [X], original=conv_lrn(spatial="S", beta=0.5))
    shapes = [corner.inputs["x"].shape for corner, _ in found.corners]
    assert shapes == [(1, 3, 3, 3), (3, 3, 7, 7), (1, 3, 7, 7), (3, 3, 3, 3)]
    _, case = found.corners[0]
    wrong = Evaluator(inferred(conv_lrn(spatial="S"))).run(found.corners[0][0].inputs)
    assert case.compare("y", wrong["y"]).wrong


def test_ranges_of_shapes():
    ranges = {"x": Range((1, 3, 5, 5), (1, 3, 6, 6), (4, 3, 8, 8))}
    shapes = [
        corner.inputs["x"].shape for corner, _ in questions(conv_lrn(spatial="S"), [X], ranges=ranges).corners
    ]
    assert shapes == [(1, 3, 5, 5), (4, 3, 8, 8), (3, 3, 7, 7), (1, 3, 8, 8), (4, 3, 5, 5)]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (conv_lrn(batch=1), "the model leaves no size open"),
        (
            parsed("g (float[1, T] x) => (float y) { c = Constant <value_ints = [2, 3]> () "
                   "y = Reshape (x, c) }"),
            "the model itself does not run at x [1, 3]: ",
        ),
        (
            parsed("g (float[1, T] x) => (float y) { s = Constant <value_ints = [4]> () "
                   "e = Constant <value_ints = [99]> () a = Constant <value_ints = [1]> () "
                   "t = Slice (x, s, e, a) y = ReduceMax (t) }"),
            "at x [1, 3] the tensor 't' is empty",
        ),
    ],
)  # fmt: skip
def test_why_there_are_no_corners(model, reason):
    shape = [dim.dim_value or 6 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    sample = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    assert questions(model, [sample]).why_no_corners.startswith(reason)


def test_quantized_models_are_not_asked_for_inner_tensors():
    graph = """g (float[N, 2] x) => (float[N, 2] y) {
        scale = Constant <value_float = 0.5> ()
        e = Exp (x) q = QuantizeLinear (e, scale) y = DequantizeLinear (q, scale)
    }"""
    found = questions(parsed(graph), [{"x": np.ones((1, 2), np.float32)}])
    assert (found.extra_outputs, "quantized" in found.why_no_extra) == ([], True)


def test_the_range_of_all_shapes():
    found = questions(conv_lrn(spatial="S"), [X])
    assert found.profile == {"x": ((1, 3, 3, 3), (3, 3, 6, 6), (3, 3, 7, 7))}
    assert questions(conv_lrn(batch=2), [{"x": np.repeat(X["x"], 2, axis=0)}]).profile == {}


def test_rows_that_rounding_decides_about_are_matched_at_the_corners(tmp_path):
    """A row at the threshold may be there or not, at other sizes too; the rows of the samples are clear."""
    model = parsed("""g (float[N] x) => (int64[1, M] y) {
        limit = Constant <value_float = 1.0> ()
        e = Exp (x) g = Greater (e, limit) y = NonZero (g)
    }""")
    found = questions(model, [{"x": np.array([0, 1, 2, -1], np.float32)}])
    corner, case = next((corner, case) for corner, case in found.corners if corner.inputs["x"].shape == (2,))

    def wavering(inputs):
        (kept,) = np.nonzero(inputs["x"] > (-1e-9 if len(inputs["x"]) == 2 else 0))
        return {"y": kept[np.newaxis]}

    assert wavering(corner.inputs)["y"].shape != case.expected["y"].shape
    asked = {each.name: each for each in examine(found, "wavering", wavering, wavering, is_right=True)}
    assert asked["shape-corners"].status == "pass", asked["shape-corners"]
