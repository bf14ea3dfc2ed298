"""Random errors: what each kind of operator is given."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from normdeploy.reference import rounding_model
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.reference.rounding import RandomRounding
from tests.builders import FLOAT, conv_lrn, model, parsed
from tests.reference.one_operator import one, typed

U = 2.0**-24
REACH = np.sqrt(3)
"""The largest error that is drawn, in standard deviations: it is uniform."""


def deviation(proto, inputs, seed=0, amplitude=1.0, weights=False):
    """What rounding adds to the first output."""
    evaluator = typed(proto)
    (name, exact), *_ = evaluator.run(inputs).items()
    numbers = RoundedNumbers(
        frozenset(evaluator.model.graph.initializers.values()) if weights else frozenset()
    )
    return evaluator.run(inputs, rounding=RandomRounding(seed, amplitude, numbers=numbers))[name] - exact


def spread(op_type, x, **rest):
    """The deviations of one operator."""
    return deviation(one(op_type, x, **rest), {"x": x})


X = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


# Draws


def test_a_seed_decides():
    proto, inputs = conv_lrn(), {"x": np.random.default_rng(0).normal(size=(1, 3, 6, 6))}
    np.testing.assert_array_equal(deviation(proto, inputs, 1), deviation(proto, inputs, 1))
    assert np.all(deviation(proto, inputs, 1) != deviation(proto, inputs, 2))


def test_the_amplitude_multiplies():
    proto, inputs = conv_lrn(), {"x": np.random.default_rng(0).normal(size=(1, 3, 6, 6))}
    ones, tens = (deviation(proto, inputs, amplitude=amplitude) for amplitude in (1.0, 10.0))
    np.testing.assert_allclose(tens, 10 * ones, rtol=0, atol=1e-3 * np.abs(tens).max())


def test_half_of_an_error_is_common_to_a_channel():
    errors = spread("Sigmoid", np.ones((40, 50, 16, 16), np.float32))
    of_channels = errors.mean(axis=(2, 3)).std() / errors.std()
    assert of_channels == pytest.approx(np.sqrt(1 / 2), rel=0.05)


def test_weights_are_exact_unless_another_files_count():
    proto = parsed("""
    g (float[N, 2] x) => (float[N, 2] y) <float[2] w = {0.1, 3.0}> { y = Mul (x, w) }""")
    inputs = {"x": np.ones((500, 2), np.float32)}
    own, other = (np.abs(deviation(proto, inputs, weights=weights)) for weights in (False, True))
    assert not own.any()  # a number that float32 holds, times 1
    assert 0.5 * U < (other / [0.1, 3.0]).max() < (2 + 2) * U * REACH


def test_integers_and_their_tensors_are_left_alone():
    x = np.arange(6).reshape(2, 3)
    proto = model(
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        {"x": (TensorProto.INT64, [2, 3])},
        {"y": (TensorProto.INT64, [2, 3])},
    )
    assert not deviation(proto, {"x": x}, amplitude=1e6).any()


# The kinds of operators


def test_an_exact_operator_neither_errs_nor_draws():
    """What follows it is given the same errors as without it."""
    assert not spread("Relu", X).any()
    plain = parsed("g (float[2, 3, 8, 8] x) => (float[2, 3, 8, 8] y) { y = Exp (x) }")
    moved = parsed("g (float[2, 3, 8, 8] x) => (float[2, 3, 8, 8] y) { z = Identity (x) y = Exp (z) }")
    np.testing.assert_array_equal(deviation(plain, {"x": X}), deviation(moved, {"x": X}))


def test_a_correctly_rounded_result_that_the_type_holds_is_exact():
    integers = np.arange(-8, 8, dtype=np.float32)
    assert not spread("Mul", integers, weights=[np.float32(3)]).any()
    errors = spread("Mul", X, weights=[np.float32(0.1)]) / (X * np.float32(0.1).astype(np.float64))
    assert U / 2 < np.abs(errors).max() < 2 * U * REACH


def test_a_conversion_errs_by_the_storage_of_its_result():
    half = deviation(
        parsed("g (float[2, 3, 8, 8] x) => (float16[2, 3, 8, 8] y) { y = Cast <to = 10> (x) }"), {"x": X}
    )
    assert 0.5 * 2.0**-11 < np.abs(half / X).max() < 2.0**-11 * REACH
    assert not spread("Cast", X, to=TensorProto.FLOAT).any()


def test_a_function_errs_relatively_and_one_that_cancels_absolutely_too():
    x = np.full((50, 50), 1e-6, np.float32)
    assert 1e-6 * U < np.abs(spread("Tanh", x)).max() < (1 + 2.0) * U * REACH * 1.01e-6
    x[...] = -20
    assert 0.9 * U < np.abs(spread("Sigmoid", x)).max() < 1.01 * U * REACH


def test_both_products_err_where_the_operator_cancels():
    x = np.full((1, 50, 20), 1000, np.float32)
    ones = np.ones(50, np.float32)
    errors = spread("BatchNormalization", x, weights=[ones, 0 * ones, 1000 * ones, ones])
    assert 500 * U < np.abs(errors).max() < 0.75 * 2001 * U * REACH


def test_a_sum_errs_by_its_terms_even_where_it_is_zero():
    x = np.ones((400, 100), np.float32)
    w = np.repeat([[1.0], [-1.0]], 50, axis=0).astype(np.float32)
    w = np.random.default_rng(0).permuted(np.repeat(w, 50, axis=1), axis=0)
    errors = spread("MatMul", x, weights=[w])
    # 0.41 · u · √n for each of n operands, each with an error of its own
    assert errors.std() == pytest.approx(0.41 * U * 10 * 10, rel=0.1)


@pytest.mark.parametrize("terms", [16, 512, 5000])
def test_a_plain_sum_errs_by_a_share_of_its_terms(terms):
    errors = spread("ReduceMean", np.ones((300, terms), np.float32), axes=[1], keepdims=1, opset=17)
    expected = U * (2 + 0.33 * np.sqrt(terms) + 0.2 * terms)
    assert errors.std() == pytest.approx(np.sqrt(1 / 2) * expected, rel=0.15)


@pytest.mark.parametrize("terms", [16, 512, 5000])
def test_a_sum_of_different_terms_errs_by_their_root(terms):
    x = np.random.default_rng(0).uniform(1, 2, (2000, terms)).astype(np.float32)
    errors = spread("ReduceMean", x, axes=[1], keepdims=1, opset=17) / x.mean(axis=1, keepdims=True)
    expected = np.hypot(np.sqrt(1 / 2) * (2 + 0.33 * np.sqrt(terms)), max(1, 0.41 * terms**0.5) / terms**0.5)
    assert errors.std() == pytest.approx(U * expected, rel=0.1)


def test_a_state_errs_more_after_more_steps():
    def of(steps):
        x = np.zeros((steps, 60, 1), np.float32)
        weights = [np.zeros((1, 40, size), np.float32) for size in (1, 40)]
        errors = spread("RNN", x, weights=weights, hidden_size=40)
        return (errors - errors.mean(axis=(2, 3), keepdims=True)).std()

    assert of(64) / of(4) == pytest.approx((2 + 0.3 * 8) / (2 + 0.3 * 2), rel=0.05)


def test_a_small_window_of_lrn_keeps_the_error_of_a_large_one_before_it():
    x = np.ones((1, 64, 20, 20), np.float32)
    alone = np.abs(spread("LRN", x, size=3, alpha=1.0)[:, 32:]).max()
    x[:, 4] = 100
    assert np.abs(spread("LRN", x, size=3, alpha=1.0)[:, 32:]).max() > 100 * alone


def test_a_type_decides_how_much():
    def of(element):
        x = X.astype(helper.tensor_dtype_to_np_dtype(element))
        proto = one("Exp", x, element=element)
        proto.graph.output[0].type.tensor_type.elem_type = element
        exact = np.exp(x.astype(np.float64))
        return np.abs(deviation(proto, {"x": x}) / exact).std()

    single, half = of(TensorProto.FLOAT), of(TensorProto.FLOAT16)
    # half precision is computed in float32 and stored: u + 0.5 u' against 1.5 u'
    assert half / single == pytest.approx((2.0**-11 + 0.5 * U) / (1.5 * U), rel=0.05)


# The numbers of the derivation, against float32


def in_order(x):
    """Sums along the last axis, one term after the other, in float32."""
    return np.add.accumulate(x, axis=-1, dtype=np.float32)[..., -1]


@pytest.mark.parametrize("drift", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("terms", [64, 512])
def test_sums_in_order_err_as_derived(terms, drift):
    """The standard deviation is an upper bound, less than three times what is measured."""
    x = (np.random.default_rng(terms).normal(size=(3000, terms)) + drift).astype(np.float32)
    wide = x.astype(np.float64)
    predicted = (
        U
        * np.sqrt(terms)
        * (
            rounding_model.SHARE_OF_SUM * np.abs(wide.sum(axis=1))
            + rounding_model.SHARE_OF_TERMS * np.sqrt(np.square(wide).sum(axis=1))
        )
    )
    measured = np.sqrt(np.mean(np.square((in_order(x) - wide.sum(axis=1)) / predicted)))
    assert 1 / 3 < measured < 1


@pytest.mark.parametrize("terms", [64, 128, 512, 4096])
def test_sums_of_equal_terms_err_as_derived(terms):
    value = np.exp2(np.random.default_rng(terms).uniform(size=5000)).astype(np.float32)
    exact = terms * value.astype(np.float64)
    error = (in_order(np.repeat(value[:, None], terms, axis=1)) - exact) / exact
    measured = np.sqrt(np.mean(np.square(error))) / (U * terms)
    assert rounding_model.SHARE_OF_REPEATED_TERMS / 2 < measured < rounding_model.SHARE_OF_REPEATED_TERMS


def test_lrn_within_a_channel_errs_by_a_window_not_by_one_term():
    x = np.ones((200, 2, 9, 9), np.float32)
    errors = spread("IntraChannelLRN", x, domain="normdeploy", size=5, alpha=1.0)[..., 4, 4]
    relative = errors.std() * 2**0.75
    expected = U * (1 + 1.5 + 0.75 * (0.33 * 5 + 0.2 * 25)) * np.sqrt(1 / 2)
    assert relative == pytest.approx(expected, rel=0.25)


def test_errors_go_into_results_and_never_into_what_they_are_made_of():
    """A sum of one tensor gives that tensor; the last state of an RNN is the end of its states."""
    proto = parsed("g (float[N, 3] x) => (float[N, 3] y, float[N, 3] z) { y = Mean (x) z = Mul (x, x) }")
    x = np.random.default_rng(0).normal(size=(4, 3))
    evaluator = typed(proto)
    exact, disturbed = evaluator.run({"x": x}), evaluator.run({"x": x}, rounding=RandomRounding(0, 1e6))
    assert (np.abs(disturbed["z"] / exact["z"] - 1) < 3 * REACH * U * 1e6).all()
    rnn = model(
        [helper.make_node("RNN", ["x", "w", "r"], ["all", "last"], hidden_size=2)],
        {"x": (FLOAT, [3, 1, 2])},
        {"all": (FLOAT, [3, 1, 1, 2]), "last": (FLOAT, [1, 1, 2])},
        {"w": np.ones((1, 2, 2), np.float32), "r": np.ones((1, 2, 2), np.float32)},
    )
    found = typed(rnn).run({"x": X[0, 0, :3, None, :2]}, rounding=RandomRounding(0))
    assert (found["all"][-1] != found["last"]).any()
    assert not np.shares_memory(found["all"], found["last"])


@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 3, 5)])
def test_results_of_any_rank_have_errors_of_their_own(shape):
    """Equal terms of a mean err alike, so that the size of the error is one for each result."""
    proto = model(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[-1], keepdims=0)],
        {"x": (FLOAT, shape)},
        {"y": (FLOAT, shape[:-1])},
    )
    exact = typed(proto).run({"x": np.ones(shape)})["y"]
    disturbed = typed(proto).run({"x": np.ones(shape)}, rounding=RandomRounding(0))["y"]
    assert exact.shape == disturbed.shape
    assert (exact != disturbed).all()
