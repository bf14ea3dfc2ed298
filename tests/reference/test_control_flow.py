"""If and Loop in a graph: scopes, state, what is stacked."""

from __future__ import annotations

import numpy as np

from normdeploy.reference import evaluate
from tests.builders import parsed


def test_branches_see_the_tensors_around_them():
    model = parsed("""
    g (bool c, float[1] x) => (float[1] y) <float[1] w = {10}> {
        outer = Neg (x)
        y = If (c) <
            then_branch = a () => (float[1] t) { t = Mul (outer, w) },
            else_branch = b () => (float[1] e) {
                e = If (c) <
                    then_branch = d () => (float[1] u) { u = Abs (w) },
                    else_branch = f () => (float[1] v) { v = Add (outer, x) }
                >
            }
        >
    }""")
    x = np.array([2.0])
    assert evaluate(model, {"c": np.array(True), "x": x})["y"].tolist() == [-20]
    assert evaluate(model, {"c": np.array(False), "x": x})["y"].tolist() == [0]


def test_a_loop_carries_state_and_stacks_what_it_scans():
    model = parsed("""
    g (int64 n, float[1] x) => (float[1] last, float[K, 1] all) {
        going = Constant <value = bool {1}> ()
        last, all = Loop (n, going, x) <
            body = b (int64 i, bool c, float[1] s) => (bool c2, float[1] s2, float[1] out) {
                c2 = Identity (c)
                s2 = Add (s, x)
                out = Neg (s2)
            }
        >
    }""")
    results = evaluate(model, {"n": np.array(3), "x": np.array([2.0])})
    assert results["last"].tolist() == [8]
    assert results["all"].tolist() == [[-4], [-6], [-8]]
