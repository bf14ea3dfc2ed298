"""Sequences and optionals inside a graph, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

import normdeploy as nd
from normdeploy.budget import spending
from normdeploy.errors import ModelError
from normdeploy.reference import evaluate
from normdeploy.reference.rounding import RandomRounding
from normdeploy.reference.sequences import split_to_sequence
from tests.builders import parsed
from tests.reference.against_onnxruntime import in_onnxruntime

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((7, 3)).astype(np.float32)


def assert_as_onnxruntime(text, **inputs):
    model = parsed(text, opsets='"": 17')
    feeds = {"x": X, **inputs}
    expected, actual = in_onnxruntime(model, feeds), evaluate(model, feeds)
    for name, right in expected.items():
        np.testing.assert_allclose(actual[name], right, rtol=1e-6, err_msg=name)
    return actual


@pytest.mark.parametrize("position", [0, 1, -1, 2])
def test_made_changed_and_taken_apart(position):
    assert_as_onnxruntime(
        """
    g (float[7, 3] x, int64 at)
        => (float[A, B] picked, int64 count, float[C, D] joined, float[E, F, G] stacked) {
        n = Neg (x)
        s = SequenceConstruct (x, n, x)
        more = SequenceInsert (s, n, at)
        last = SequenceInsert (more, x)
        less = SequenceErase (last, at)
        least = SequenceErase (less)
        picked = SequenceAt (more, at)
        count = SequenceLength (least)
        joined = ConcatFromSequence <axis = 0> (last)
        stacked = ConcatFromSequence <axis = -1, new_axis = 1> (least)
    }""",
        at=np.array(position),
    )


@pytest.mark.parametrize("split", [None, np.array(1), np.ones(2**19, np.int64)])
def test_more_pieces_than_fit_are_not_made(split):
    with spending(max_memory=2**26), pytest.raises(MemoryError, match="524288,"):
        split_to_sequence(np.zeros(2**19, np.float32), split)


@pytest.mark.parametrize("split", [np.array(3), np.array(2), np.array([1, 4, 2])])
def test_split_by_lengths(split):
    shape = "" if split.ndim == 0 else "[3]"
    assert_as_onnxruntime(
        f"""
    g (float[7, 3] x, int64{shape} split) => (float[A, B] last, int64 count) {{
        s = SplitToSequence <axis = 0> (x, split)
        count = SequenceLength (s)
        minus = Constant <value = int64 {{-1}}> ()
        last = SequenceAt (s, minus)
    }}""",
        split=split,
    )


@pytest.mark.parametrize("keep", [0, 1])
def test_split_into_slices(keep):
    rank = "[A]" if not keep else "[A, B]"
    assert_as_onnxruntime(f"""
    g (float[7, 3] x) => (float{rank} second, int64 count) {{
        s = SplitToSequence <axis = 1, keepdims = {keep}> (x)
        count = SequenceLength (s)
        one = Constant <value = int64 {{1}}> ()
        second = SequenceAt (s, one)
    }}""")


def test_an_empty_sequence_grows_in_a_loop():
    """What exporters make of a list that a loop appends to."""
    results = assert_as_onnxruntime(
        """
    g (float[7, 3] x, int64 n) => (float[A, B] joined) {
        empty = SequenceEmpty <dtype = 1> ()
        going = Constant <value = bool {1}> ()
        grown = Loop (n, going, empty) <
            body = b (int64 i, bool c, seq(float[7, 3]) s) => (bool c2, seq(float[7, 3]) s2) {
                c2 = Identity (c)
                f = Cast <to = 1> (i)
                scaled = Mul (x, f)
                s2 = SequenceInsert (s, scaled)
            }
        >
        joined = ConcatFromSequence <axis = 0> (grown)
    }""",
        n=np.array(4),
    )
    np.testing.assert_allclose(results["joined"], np.concatenate([X * i for i in range(4)]))


def test_through_branches():
    for condition in (True, False):
        assert_as_onnxruntime(
            """
        g (float[7, 3] x, bool c) => (float[A, B] y) {
            s = If (c) <
                then_branch = t () => (seq(float[7, 3]) a) { a = SequenceConstruct (x) },
                else_branch = e () => (seq(float[7, 3]) b) { n = Neg (x)  b = SequenceConstruct (n, x) }
            >
            same = Identity (s)
            y = ConcatFromSequence <axis = 1> (same)
        }""",
            c=np.array(condition),
        )


def test_map():
    assert_as_onnxruntime("""
    g (float[7, 3] x) => (float[A, B] y, float[C, D] z) {
        s = SplitToSequence <axis = 0> (x)
        n = Neg (x)
        t = SplitToSequence <axis = 0> (n)
        sums, products = SequenceMap (s, t, x) <
            body = b (float[1, 3] p, float[1, 3] q, float[7, 3] all) => (float[1, 3] u, float[7, 3] v) {
                u = Sub (p, q)
                v = Mul (p, all)
            }
        >
        y = ConcatFromSequence <axis = 0> (sums)
        z = ConcatFromSequence <axis = 0> (products)
    }""")


def test_optionals():
    assert_as_onnxruntime("""
    g (float[7, 3] x) => (bool has, bool hasnt, float[7, 3] y) {
        o = Optional (x)
        nothing = Optional <type = float[7, 3]> ()
        has = OptionalHasElement (o)
        hasnt = OptionalHasElement (nothing)
        y = OptionalGetElement (o)
    }""")


def test_an_optional_of_a_sequence():
    results = evaluate(
        parsed("""
    g (float[7, 3] x) => (float[A, B] y, bool left_out) {
        s = SequenceConstruct (x, x)
        o = Optional (s)
        t = OptionalGetElement (o)
        y = ConcatFromSequence <axis = 0> (t)
        left_out = OptionalHasElement ()
    }"""),
        {"x": X},
    )
    assert results["y"].shape == (14, 3)
    assert not results["left_out"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            "s = SequenceConstruct (x)  at = Constant <value = int64 {1}> ()  y = SequenceAt (s, at)",
            "position 1",
        ),
        (
            "z = Constant <value = int64 {0}> ()  s = SplitToSequence (x, z)  y = SequenceAt (s, z)",
            "pieces of length 0",
        ),
        ("o = Optional <type = float> ()  y = OptionalGetElement (o)", "without an element"),
    ],
)
def test_what_is_not_there_is_an_error(nodes, message):
    model = parsed(f"g (float[7, 3] x) => (float[A, B] y) {{ {nodes} }}")
    with pytest.raises(ModelError, match=message):
        evaluate(model, {"x": X})


def test_only_tensors_go_in_and_out():
    model = parsed("g (float[7, 3] x) => (seq(float[7, 3]) s) { s = SequenceConstruct (x) }")
    with pytest.raises(ModelError, match="'s' is a sequence or an optional, and only tensors are given back"):
        evaluate(model, {"x": X})
    model = parsed("g (seq(float[7, 3]) s) => (int64 n) { n = SequenceLength (s) }")
    with pytest.raises(ModelError, match="input 's' is no tensor: only tensors can be given"):
        evaluate(model, {"s": X})


INSIDE = """
g (float[4, 6] x) => (float[4, 6] y) <float[6, 6] w = {WEIGHTS}> {
    s = SplitToSequence <axis = 0> (x)
    mapped = SequenceMap (s) <body = b (float[1, 6] p) => (float[1, 6] q) { m = MatMul (p, w)  q = Tanh (m) }>
    y = ConcatFromSequence <axis = 0> (mapped)
}"""


def inside():
    weights = ", ".join(str(float(number)) for number in np.float32(RANDOM.standard_normal(36)))
    return parsed(INSIDE.replace("WEIGHTS", weights), opsets='"": 17')


def test_rounding_inside_reaches_the_outside():
    from normdeploy.reference import Evaluator

    evaluator = Evaluator(inside())
    x = {"x": RANDOM.standard_normal((4, 6))}
    exact = evaluator.run(x)["y"]
    spread = np.abs(evaluator.run(x, rounding=RandomRounding(0))["y"] - exact)
    assert 1e-9 < spread.max() < 1e-5


def test_check():
    report = nd.check(inside(), backends=["onnxruntime"], samples=2)
    assert report.verdict == "pass", report.backends[0].reason
