"""Names of a deployed model and of its reference."""

import numpy as np
import pytest

from normdeploy.errors import InputError, UsageError
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.validation.pairing import pair_interfaces
from tests.builders import parsed

ONE = "g (float[N] x) => (float[N] y) { y = Add (x, x) }"
TWO = """g (float[N] a, float[N] b) => (float[N] sum, float[N] difference) {
    sum = Add (a, b)
    difference = Sub (a, b)
}"""
OTHERS = TWO.replace("difference", "minus").replace("sum", "plus")


def paired(ours, theirs, **names):
    """The reference under the deployed model's names, and the remarks."""
    original = load(parsed(theirs))
    pairing = pair_interfaces(load(parsed(ours)), original, names)
    return original, pairing.remarks


def interface(model):
    return [value.name for value in (*model.graph.inputs, *model.graph.outputs)]


def test_the_same_names_stay():
    original, remarks = paired(TWO, TWO)
    assert interface(original) == ["a", "b", "sum", "difference"]
    assert remarks == []


def test_one_input_and_one_output_stand_for_each_other():
    original, remarks = paired(ONE, "g (float[N] image) => (float[N] out) { out = Mul (image, image) }")
    assert interface(original) == ["x", "y"]
    assert remarks == [
        "input 'x' stands for 'image' of the reference",
        "output 'y' stands for 'out' of the reference",
    ]
    assert Evaluator(original).run({"x": np.float32([3])})["y"] == 9


def test_told_names():
    original, remarks = paired(TWO, OTHERS, sum="plus", difference="minus")
    assert interface(original) == ["a", "b", "sum", "difference"]
    assert len(remarks) == 2


def test_outputs_have_the_order_of_the_deployed_model():
    swapped = OTHERS.replace("float[N] plus, float[N] minus", "float[N] minus, float[N] plus")
    original, _ = paired(TWO, swapped, sum="plus", difference="minus")
    assert interface(original) == ["a", "b", "sum", "difference"]
    found = Evaluator(original).run({"a": np.float32([3]), "b": np.float32([1])})
    assert list(found) == ["sum", "difference"]
    assert (found["sum"], found["difference"]) == (4, 2)


def test_names_may_be_exchanged():
    original, _ = paired(TWO, TWO, sum="difference", difference="sum")
    found = Evaluator(original).run({"a": np.float32([3]), "b": np.float32([1])})
    assert (found["difference"], found["sum"]) == (4, 2)


def test_another_tensor_of_that_name_makes_way():
    theirs = """g (float[N] image) => (float[N] out) {
        x = Add (image, image)
        y = Mul (x, x)
        y_0 = Add (y, x)
        out = Sub (y_0, image)
    }"""
    before = Evaluator(load(parsed(theirs))).run({"image": np.float32([3])})["out"]
    original, _ = paired(ONE, theirs)
    assert Evaluator(original).run({"x": np.float32([3])})["y"] == before
    names = [value.name for node in original.graph for value in node.outputs]
    assert len({*names, "x"}) == len(names) + 1


def test_a_tensor_inside_a_subgraph_makes_way_too():
    theirs = """g (float[N] image, bool c) => (float[N] out) {
        out = If (c) <then_branch = g1 () => (float[N] t) { y = Add (image, image) t = Mul (y, image) },
                      else_branch = g2 () => (float[N] e) { e = Identity (image) }>
    }"""
    original, _ = paired("g (float[N] x, bool c) => (float[N] y) { y = Where (c, x, x) }", theirs, x="image")
    inputs = {"x": np.float32([3]), "c": np.array(True)}
    assert Evaluator(original).run(inputs)["y"] == 18


@pytest.mark.parametrize(
    ("ours", "theirs", "names", "message"),
    [
        (ONE, TWO, {}, "different inputs: 'x' and 'a', 'b'; say which is which with --map NEW=OLD"),
        (TWO, OTHERS, {"sum": "plus"}, "different outputs"),
        (TWO, TWO, {"sum": "a"}, "'sum=a' is no pair of inputs or outputs"),
        (TWO, TWO, {"sum": "total"}, "'sum=total' is no pair of inputs or outputs: the model has 'a', 'b'"),
        (TWO, TWO, {"sum": "sum", "a": "sum"}, "for two of the model: 'sum' for 'sum' and 'a'"),
        (TWO, TWO, {"sum": "difference"}, "different outputs"),
    ],
)  # fmt: skip
def test_what_does_not_match(ours, theirs, names, message):
    with pytest.raises((InputError, UsageError), match=message):
        paired(ours, theirs, **names)


def test_an_input_that_nothing_reads_needs_no_partner():
    """onnxruntime folds an initializer that is listed as an input, and leaves the input behind."""
    theirs = "g (float[N] x, float[2] w) => (float[N] y) <float[2] w = {3, 4}> { y = Mul (x, w) }"
    ours = "g (float[N] x, float[2] w, float[1] other) => (float[N] y) { y = Add (x, x) }"
    original, remarks = paired(ours, theirs)
    assert remarks == []
    found = Evaluator(original).run({"x": [1.0, 2.0], "w": [0.0, 0.0], "other": [0.0]})
    assert found["y"].tolist() == [3, 8]


def test_an_input_that_is_read_needs_one():
    with pytest.raises(InputError, match="different inputs: 'a', 'b' and 'x'"):
        paired(TWO, ONE)
