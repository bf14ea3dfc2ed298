"""Numbers that were rounded when a file was written."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.reference.rounded_numbers import UNIT_ROUNDOFF, RoundedNumbers, StorageErrors
from normdeploy.reference.rounding import RandomRounding
from tests.builders import FLOAT, model, parsed

W = np.random.default_rng(0).normal(size=(200, 300))


def value(dtype=ir.DataType.FLOAT, name="w"):
    return ir.Value(name=name, type=ir.TensorType(dtype))


def errors(array, dtype=ir.DataType.FLOAT, amplitude=1.0):
    """Relative to the type's unit roundoff."""
    weight = value(dtype)
    found = StorageErrors(0, amplitude, RoundedNumbers(frozenset({weight})))
    return (found.tensor(weight, array) - array) / array / UNIT_ROUNDOFF[dtype]


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16])
def test_a_number_errs_by_the_roundoff_of_the_type_that_it_is_stored_in(dtype):
    found = errors(W, dtype)
    assert found.std() == pytest.approx(1, rel=0.1)
    assert 10 * errors(W, dtype).std() == pytest.approx(errors(W, dtype, 10.0).std(), rel=1e-6)


def test_two_thirds_are_common_to_rows_and_columns():
    found = errors(W)
    of_rows, of_columns = found.mean(axis=1), found.mean(axis=0)
    assert np.square([of_rows.std(), of_columns.std()]) == pytest.approx([1 / 3, 1 / 3], rel=0.2)
    rest = found - of_rows[:, None] - of_columns[None] + found.mean()
    assert np.square(rest.std()) == pytest.approx(1 / 3, rel=0.05)


def test_what_a_type_holds_with_fewer_bits_errs_more():
    """1e-9 in float16 is stored as 0 or as 6e-8."""
    weight = value(ir.DataType.FLOAT16)
    found = StorageErrors(0, 1.0, RoundedNumbers(frozenset({weight}))).tensor(weight, np.full(1000, 1e-9))
    assert found.std() == pytest.approx(2.0**-25, rel=0.1)


def test_a_small_bias_errs_as_large_ones_do():
    """What tools compute by a subtraction has the rounding of what it was subtracted from."""
    bias = value()
    numbers = RoundedNumbers(frozenset({bias}), addends=frozenset({bias}))
    array = np.where(np.arange(2000) % 2, 1.0, 1e-6)
    found = (
        np.abs(StorageErrors(0, 1.0, numbers).tensor(bias, array) - array) / UNIT_ROUNDOFF[ir.DataType.FLOAT]
    )
    of_small, of_large = (np.sqrt(np.mean(np.square(found[start::2]))) for start in (0, 1))
    assert of_small == pytest.approx(np.sqrt(0.5), rel=0.1)
    assert of_large == pytest.approx(np.sqrt(1.5), rel=0.1)


def test_infinities_and_other_numbers_stay():
    weight = value()
    found = StorageErrors(0, 1.0, RoundedNumbers(frozenset({weight})))
    np.testing.assert_array_equal(found.tensor(weight, np.array([np.inf, -np.inf])), [np.inf, -np.inf])
    np.testing.assert_array_equal(found.tensor(weight, np.arange(3)), np.arange(3))
    np.testing.assert_array_equal(found.tensor(value(name="other"), W), W)


READERS = {
    "an initializer": "<float[2] w = {0.1, 0.7}> { p = Mul (x, w) q = Mul (x, w) y = Sub (p, q) }",
    "a Constant": "{ w = Constant <value = float[2] {0.1, 0.7}> () p = Identity (w) y = Sub (p, w) }",
}


@pytest.mark.parametrize("body", READERS.values(), ids=READERS)
def test_every_reader_sees_the_same_error(body):
    """What is subtracted from itself is 0."""
    evaluator = Evaluator(inferred(parsed(f"g (float[2] x) => (float[2] y) {body}")))
    read = {each for node in evaluator.model.graph for each in node.inputs if each and each.name == "w"}
    rounding = RandomRounding(0, numbers=RoundedNumbers(frozenset(read)), in_float64=True)
    assert np.abs(evaluator.run({"x": np.ones(2)}, rounding=rounding)["y"]).max() < 1e-14


def in_a_function():
    """A number that a function's caller gives."""
    return parsed(
        "g (float[N, 1, 1, 1] x) => (float[N, 1, 1, 1] y) { y = local.scaled <factor = 0.1> (x) }",
        """<domain: "local", opset_import: ["": 21]> scaled <factor> (x) => (y) {
            c = Constant <value_float : float = @factor> ()
            y = Mul (x, c) }""",
    )


def test_attributes_err_as_float32_does():
    plain = parsed("g (float[N, 1, 1, 1] x) => (float[N, 1, 1, 1] y) { y = LRN <size = 1, alpha = 0.1> (x) }")
    for proto, name in ((plain, "alpha"), (in_a_function(), "factor")):
        evaluator = Evaluator(inferred(proto))
        (node,) = evaluator.model.graph
        numbers = RoundedNumbers(attributes=frozenset({(node, name)}))
        x = np.full((1, 1, 1, 1), 3.0)
        exact = evaluator.run({"x": x})["y"]
        runs = [
            evaluator.run({"x": x}, rounding=RandomRounding(seed, numbers=numbers, in_float64=True))["y"]
            for seed in range(40)
        ]
        spread = np.std(np.array(runs) / exact - 1)
        assert 1e-9 < spread < 1e-7, name


def test_without_rounded_numbers_float64_errs_as_float64_does():
    proto = model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["N", 200])},
        {"y": (FLOAT, ["N", 300])},
        {"w": W.astype(np.float32)},
    )
    evaluator = Evaluator(inferred(proto))
    x = np.random.default_rng(1).normal(size=(3, 200))
    exact = evaluator.run({"x": x})["y"]
    found = evaluator.run({"x": x}, rounding=RandomRounding(0, in_float64=True))["y"]
    assert 0 < np.abs(found - exact).max() < 1e-11
