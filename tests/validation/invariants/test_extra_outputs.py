"""Inner tensors as further outputs."""

import numpy as np
import onnx_ir as ir

from normdeploy.graph.inference import inferred
from normdeploy.validation.invariants.extra_outputs import MOST_ELEMENTS, with_extra_outputs
from tests.builders import conv_lrn, parsed, unary
from tests.equivalence import run_in_onnxruntime

CHAIN = "g (float[N] x) => (float[N] y) { a = Exp (x) b = Neg (a) c = Abs (b) d = Sqrt (c) y = Exp (d) }"


def test_every_inner_tensor_where_there_is_room():
    model = inferred(parsed(CHAIN))
    tapped, names = with_extra_outputs(model, dict.fromkeys("abcdy", 8))
    assert names == ["a", "b", "c", "d"]
    assert [value.name for value in tapped.graph.outputs] == ["y", *names]
    assert [value.name for value in model.graph.outputs] == ["y"]
    results = run_in_onnxruntime(ir.to_proto(tapped), {"x": np.zeros(3, np.float32)})
    np.testing.assert_allclose(results[1], 1)


def test_fewer_where_they_are_large():
    model = inferred(parsed(CHAIN))
    assert with_extra_outputs(model, dict.fromkeys("abcd", MOST_ELEMENTS // 2))[1] == ["b", "d"]
    assert with_extra_outputs(model, dict.fromkeys("abcd", MOST_ELEMENTS))[1] == ["c"]
    assert with_extra_outputs(model, dict.fromkeys("abcd", MOST_ELEMENTS + 1))[1] == []


def test_constants_integers_and_unknown_sizes_are_left_out():
    graph = """g (float[N] x) => (float[N] y) {
        one = Constant <value_float = 1.0> ()
        s = Shape (x) f = Cast <to = 1> (s) e = Exp (x) a = Add (e, f) y = Add (a, one)
    }"""
    sizes = {"one": 1, "s": 1, "f": 1, "e": 4}
    assert with_extra_outputs(inferred(parsed(graph)), sizes)[1] == ["f", "e"]
    assert with_extra_outputs(inferred(unary("Exp", ["N"])), {"y": 4})[1] == []
    assert with_extra_outputs(inferred(conv_lrn()), {"c": 4, "y": 4})[1] == ["c"]
