"""Which rows a model has, and which outputs follow them: the reference says."""

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.inputs.declared import declared_inputs
from normdeploy.reference import Evaluator
from normdeploy.validation.invariants.subject import ROWS, Sizes, subject_of
from tests.builders import parsed, unary

RNG = np.random.default_rng(0)


def subject(model, *samples):
    whole = inferred(model)
    return subject_of(Evaluator(whole), declared_inputs(whole), samples, None, 0)


def normal(*shape):
    return {"x": RNG.normal(size=shape).astype(np.float32)}


def layouts(found):
    return {name: layout.axis for name, layout in found.items()}


@pytest.mark.parametrize(
    ("body", "independent", "permutable"),
    [
        ("y = Exp (x)", {"y": 0}, {"y": 0}),
        ("y = Transpose <perm = [1, 0]> (x)", {"y": 1}, {"y": 1}),
        ("c = Constant <value_ints = [-1, 1]> () y = Reshape (x, c)", {"y": 0}, {"y": 0}),
        ("y = Softmax <axis = 0> (x)", {}, {"y": 0}),
        ("y = ReduceMean (x)", {}, {"y": None}),
        ("s = Shape <start = 1> (x) y = Cast <to = 1> (s)", {"y": None}, {"y": None}),
        ("c = Constant <value_int = 0> () y = CumSum (x, c)", {}, {}),
        ("t = Transpose <perm = [1, 0]> (x) y = MatMul (x, t)", {}, {}),
        (
            "e = Constant <value_ints = [-1]> () a = Constant <value_ints = [0]> () "
            "l = Constant <value_ints = [-99]> () y = Slice (x, e, l, a, e)",
            {},
            {},
        ),
        ("n = Neg (x) g = ReduceSum <keepdims = 0> (n) y = Identity (g)", {}, {"y": None}),
    ],
)
def test_outputs_that_follow_the_rows(body, independent, permutable):
    found = subject(parsed(f"g (float[N, 4] x) => (float y) {{ {body} }}"), normal(1, 4), normal(1, 4))
    assert layouts(found.independent) == independent
    assert layouts(found.permutable) == permutable
    assert bool(found.why_not) is not bool(permutable)
    if permutable:
        assert (found.rows, found.inputs["x"].shape) == (ROWS, (3, 4))
        np.testing.assert_array_equal(found.other["x"], found.inputs["x"][[1, 2, 0]])


def test_each_output_by_itself():
    model = parsed("g (float[N, 4] x) => (float y, float z) { y = Exp (x) z = Softmax <axis = 0> (x) }")
    found = subject(model, normal(1, 4))
    assert layouts(found.independent) == {"y": 0}
    assert layouts(found.permutable) == {"y": 0, "z": 0}


def test_a_fixed_batch():
    found = subject(unary("Exp", [2, 3]), normal(2, 3))
    assert (found.rows, layouts(found.independent), layouts(found.permutable)) == (2, {}, {"y": 0})


def test_one_row_only():
    found = subject(unary("Exp", [1, 3]), normal(1, 3), normal(1, 3))
    assert (found.batch, found.why_not) == (None, "the model takes 1 row, no more")
    assert found.inputs is not found.other
    assert found.other["x"].shape == (1, 3)


def test_a_model_that_does_not_run_with_several_rows():
    model = parsed(
        "g (float[N, 4] x) => (float y) { c = Constant <value_ints = [1, 4]> () y = Reshape (x, c) }"
    )
    found = subject(model, normal(1, 4))
    assert found.batch is None
    assert found.why_not.startswith("the model does not run with 3 rows: ")
    np.testing.assert_array_equal(found.other["x"].ravel(), np.roll(found.inputs["x"].ravel(), 1))


def test_the_batch_may_be_another_axis():
    model = parsed("g (float[T, N, 2] x) => (float y) { c = Constant <value_int = 0> () y = CumSum (x, c) }")
    found = subject(model, normal(4, 1, 2))
    assert dict(found.batch.axes) == {"x": 1}
    assert layouts(found.independent) == {"y": 1}


def test_sizes_and_the_first_empty_tensor():
    evaluator = Evaluator(
        parsed("""g (float[N, 4] x) => (float y) {
        start = Constant <value_ints = [9]> () end = Constant <value_ints = [10]> ()
        s = Slice (x, start, end)
        y = ReduceSum (s)
    }""")
    )
    sizes = Sizes()
    evaluator.run(normal(2, 4), on_node=sizes)
    assert sizes.empty == "s"
    assert (sizes.elements["s"], sizes.elements["y"]) == (0, 1)
