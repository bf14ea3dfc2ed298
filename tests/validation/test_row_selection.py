"""Operators that select rows: which outputs follow them, and how many rows there are."""

from __future__ import annotations

import numpy as np

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.row_selection import SelectedLengths, row_groups
from tests.builders import parsed
from tests.validation.detector import detector


def test_how_many_rows_each_operator_selects() -> None:
    """Neither the columns of places nor the axes around those that are sorted are numbers of rows."""
    proto = parsed("""
    g (float[3, 7] x) => (float[3, 4] y, int64[2, N] p, float[M, 7] c, int64[K, 3] s)
        <int64[1] four = {4}, float z = {0}, int64[3] pick = {1, 0, 1},
        float[1, 5, 4] boxes = {0, 0, 1, 1, 2, 2, 3, 3, 5, 5, 6, 6, 8, 8, 9, 9, 11, 11, 12, 12},
        float[1, 1, 5] scores = {0.9, 0.8, 0.7, 0.6, 0.5}, int64[1] most = {9}> {
        y, i = TopK (x, four) over = Greater (x, z) p = NonZero (over) b = Cast <to = 9> (pick)
        c = Compress <axis = 0> (x, b) s = NonMaxSuppression (boxes, scores, most) }""")
    lengths = SelectedLengths()
    x = np.random.default_rng(0).normal(size=(3, 7))
    outputs = Evaluator(inferred(proto)).run({"x": x}, on_node=lengths)
    positive = int(np.count_nonzero(x > 0))
    assert len(outputs["s"]) == 5
    assert lengths.seen == {4, positive, 2, 5}


def test_which_outputs_stand_behind_a_selection() -> None:
    assert [sorted(names) for names in row_groups(inferred(detector()))] == [["boxes", "classes", "scores"]]
    plain = parsed("g (float[N] x) => (float[N] y) { y = Relu (x) }")
    assert row_groups(inferred(plain)) == []
    inside = parsed(
        "g (float[N] x) => (float[M] y) { y = local.positive (x) }",
        """<domain: "local", opset_import: ["": 21]> positive (x) => (y) {
            zero = Constant <value_float = 0.0> ()
            over = Greater (x, zero)
            y = Compress (x, over) }""",
    )
    assert row_groups(inferred(inside)) == [["y"]]
