"""What stands at the operators' definitions: presets, and each kind of operator's errors by its formula."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.reference import registry
from normdeploy.reference.rounding_model import (
    CORRECTLY_ROUNDED,
    EXACT,
    FUNCTION,
    Deviation,
    RoundingModel,
    absolute,
    function,
    sum_of,
)

PRESETS = {
    "Relu": EXACT, "Transpose": EXACT, "Scatter": EXACT, "Hardmax": EXACT, "ThresholdedRelu": EXACT,
    "CenterCropPad": EXACT, "TensorScatter": EXACT, "Equal": EXACT, "MatMulInteger": EXACT, "If": EXACT,
    "Cast": CORRECTLY_ROUNDED, "CastLike": CORRECTLY_ROUNDED,
    "Add": CORRECTLY_ROUNDED, "Sqrt": CORRECTLY_ROUNDED, "LeakyRelu": CORRECTLY_ROUNDED,
    "PRelu": CORRECTLY_ROUNDED, "DequantizeLinear": CORRECTLY_ROUNDED, "Shrink": CORRECTLY_ROUNDED,
    "Exp": FUNCTION, "Sin": FUNCTION, "Erf": FUNCTION,
}  # fmt: skip


@pytest.mark.parametrize(("op_type", "model"), PRESETS.items())
def test_presets(op_type, model):
    assert model_of(op_type) is model


def model_of(op_type, opset=26):
    return registry.lookup(op_type, "normdeploy" if op_type == "IntraChannelLRN" else "", opset).rounding


def errors(op_type, keywords, *inputs, opset=26):
    """The deviation of the first output."""
    item = registry.lookup(op_type, "normdeploy" if op_type == "IntraChannelLRN" else "", opset)
    result = item.function(*inputs, **keywords)
    return item.rounding.results(keywords, inputs, result if isinstance(result, list | tuple) else [result])[
        0
    ]


def of(*shape):
    return np.zeros(shape)


AXES = np.array([1, -1])


TERMS = [
    ("Conv", {"group": 2}, [of(1, 6, 9, 9), of(4, 3, 5, 5)], 75),
    ("ConvTranspose", {"group": 3}, [of(1, 6, 9, 9), of(6, 2, 5, 5)], 50),
    ("DeformConv", {}, [of(1, 6, 9, 9), of(4, 3, 5, 5)], 75),
    ("Gemm", {}, [of(2, 7), of(7, 3)], 7),
    ("Gemm", {"transA": 1}, [of(7, 2), of(7, 3)], 7),
    ("MatMul", {}, [of(5, 2, 7), of(7, 3)], 7),
    ("Einsum", {"equation": "bij, bkj -> bik"}, [of(2, 3, 4), of(2, 5, 4)], 4),
    ("Einsum", {"equation": "...ij,...jk->...ik"}, [of(2, 3, 4), of(2, 4, 5)], 4),
    ("Einsum", {"equation": "ij,jk"}, [of(3, 4), of(4, 5)], 4),
    ("Einsum", {"equation": "ij->"}, [of(3, 4)], 12),
    ("AveragePool", {"kernel_shape": [3, 5]}, [of(1, 2, 9, 9)], 15),
    ("LpPool", {"kernel_shape": [3, 5]}, [of(1, 2, 9, 9)], 15),
    ("GlobalAveragePool", {}, [of(1, 2, 7, 9)], 63),
    ("GlobalLpPool", {}, [of(1, 2, 7, 9)], 63),
    ("LRN", {"size": 5}, [of(1, 8, 9, 9)], 5),
    ("IntraChannelLRN", {"size": 5}, [of(1, 8, 9, 9)], 25),
    ("IntraChannelLRN", {"size": 4}, [of(1, 8, 9)], 4),
    ("Softmax", {}, [of(2, 3, 4)], 4),
    ("LogSoftmax", {"axis": 1}, [of(2, 3, 4)], 3),
    ("ReduceSum", {}, [of(2, 3, 4)], 24),
    ("ReduceSum", {"noop_with_empty_axes": 1}, [of(2, 3, 4)], 1),
    ("ReduceMean", {}, [of(2, 3, 4), AXES], 12),
    ("ReduceL1", {}, [of(2, 3, 4), AXES], 12),
    ("ReduceSumSquare", {}, [of(2, 3, 4), AXES], 12),
    ("ReduceL2", {}, [of(2, 3, 4), AXES], 12),
]  # fmt: skip

SHARES = {
    "LpPool": (2, 1), "GlobalLpPool": (2, 1), "LRN": (1.5, 0.75), "IntraChannelLRN": (1.5, 0.75),
    "ReduceL2": (1, 0.5),
}  # fmt: skip
"""The operators' own relative error, and which part of the sum's they keep; 1 and 1 for the others."""


def relative_to_sum(op_type, keywords, inputs, opset=22):
    """The relative error of the result, where no terms are the same and none differ from the maximum."""
    outputs = [of(1)]
    if op_type.startswith("Reduce"):
        outputs = [registry.lookup(op_type, "", opset).function(*inputs, **keywords)]
    (deviation,) = model_of(op_type, opset).results(keywords, inputs, outputs)
    found = deviation.absolute if op_type == "LogSoftmax" else deviation.relative
    (value,) = set(np.ravel(found))
    return value


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("op_type", "keywords", "inputs", "terms"), TERMS)
def test_terms_of_the_inner_sums(op_type, keywords, inputs, terms):
    own, share = SHARES.get(op_type, (1, 1))
    of_sum = 0.33 * np.sqrt(terms) if terms > 1 else 0.0
    assert relative_to_sum(op_type, keywords, inputs) == pytest.approx(own + share * of_sum)


def test_terms_of_older_opsets():
    x = of(2, 3, 4)
    for op_type, opset, keywords, terms in (
        ("ReduceMean", 17, {"axes": [0, 2]}, 8),
        ("Softmax", 12, {}, 12),
        ("Softmax", 12, {"axis": 2}, 4),
    ):
        found = relative_to_sum(op_type, keywords, [x], opset)
        assert found == pytest.approx(1 + 0.33 * np.sqrt(terms))


@pytest.mark.parametrize(("op_type", "terms"), [("Conv", 75), ("MatMul", 6), ("ReduceSum", 3)])
def test_the_terms_are_the_operands(op_type, terms):
    inputs = {"Conv": [of(1, 3, 9, 9), of(4, 3, 5, 5)], "MatMul": [of(2, 6), of(6, 2)], "ReduceSum": [of(3)]}
    (deviation,) = model_of(op_type).operands({}, inputs[op_type])
    assert deviation.relative == pytest.approx(max(1.0, 0.41 * np.sqrt(terms)))


def test_a_single_term_has_no_error_of_a_sum():
    assert model_of("MatMul").operands({}, [of(2, 1), of(1, 3)])[0] == Deviation()


def test_sums_of_equal_terms_err_by_their_number():
    def relative(op_type, x, *rest, **keywords):
        return float(np.max(errors(op_type, keywords, x, *rest).relative))

    plain, various = np.full((1, 1, 50, 40), 0.1), np.random.default_rng(0).normal(size=(1, 1, 50, 40))
    cases = {
        "ReduceMean": {"keepdims": 1}, "GlobalAveragePool": {},
        "AveragePool": {"kernel_shape": [50, 40]}, "ReduceSumSquare": {},
    }  # fmt: skip
    for op_type, keywords in cases.items():
        assert relative(op_type, plain, **keywords) == pytest.approx(1 + 0.33 * 2000**0.5 + 400, rel=0.01)
        assert relative(op_type, various, **keywords) == pytest.approx(1 + 0.33 * 2000**0.5, rel=0.02)
        assert relative(op_type, 0 * plain, **keywords) == pytest.approx(1 + 0.33 * 2000**0.5)


def test_products_of_equal_factors_err_by_their_number():
    def relative(a, b):
        return float(np.max(errors("MatMul", {}, a, b).relative))

    plain, various = np.full((1, 400), 0.1), np.random.default_rng(0).normal(size=(1, 400))
    usual = 1 + 0.33 * 20
    assert relative(plain, plain.T) == pytest.approx(usual + 0.2 * 400)
    assert relative(plain, various.T) == pytest.approx(usual)
    assert relative(various, plain.T) == pytest.approx(usual)
    assert errors("Gemm", {}, plain, plain.T).relative.max() == pytest.approx(usual + 80)
    assert errors("Gemm", {"transA": 1}, plain.T, plain.T).relative.max() == pytest.approx(usual + 80)


def test_a_product_keeps_its_error_where_what_is_added_cancels_it():
    a, b = np.full((1, 4), 2.0), np.array([[1.0], [2.0], [3.0], [4.0]])
    found = errors("Gemm", {"beta": 2.0}, a, b, np.array([-10.0]))
    assert found.relative == 1.0
    assert found.absolute.item() == pytest.approx(20)
    x, w = np.full((1, 1, 2, 2), 3.0), np.full((2, 1, 1, 1), 2.0)
    found = errors("Conv", {}, x, w, np.array([-6.0, 1.0]))
    assert np.all(found.absolute == 6)
    assert errors("Conv", {}, x, w).relative == 1.0


def test_small_weights_of_a_cubic_kernel_err_as_large_ones():
    x, grid = np.ones((1, 1, 6, 6)), np.zeros((1, 1, 1, 2))
    cubic = errors("GridSample", {"mode": "cubic"}, x, grid)
    weights = np.array([-0.09375, 0.59375, 0.59375, -0.09375])  # half way between two elements
    expected = np.sqrt(2 * np.square(weights).sum() * (2 * 7.0**2 + 2 * 1.5**2))
    assert cubic.absolute.item() == pytest.approx(expected)
    assert errors("GridSample", {"mode": "linear"}, x, grid) == Deviation(1.5)


def test_softmax_errs_by_the_argument_of_the_exponential():
    x = np.array([[0.0, -1.0, -50.0, -np.inf]])
    found = errors("Softmax", {}, x).relative - (1 + 0.33 * 2)
    assert found.tolist() == [[0, 1, 50, 104]]
    assert errors("LogSoftmax", {}, x).absolute == pytest.approx(1 + 0.33 * 2)


def test_what_cancels_keeps_its_error():
    x = np.array([-8.0, -1.0, 0.0, 2.0])
    assert errors("Gelu", {}, x).absolute.tolist() == pytest.approx([3.2, 0.4, 0, 0.8])
    assert errors("Elu", {"alpha": 3.0}, x).absolute.tolist() == [2.25, 2.25, 0, 0]
    assert errors("HardSigmoid", {}, x).absolute.tolist() == pytest.approx([0, 0.1, 0, 0.2])
    assert errors("Sigmoid", {}, x).absolute == 1.0
    assert errors("Tanh", {}, x) == Deviation(2.0)


def test_additions_err_by_partial_sums():
    a, b, c, d = (np.array([value]) for value in (3.0, 4.0, -7.0, 0.5))
    assert errors("Sum", {}, a, b).absolute == 0.0
    assert errors("Sum", {}, a, b, c).absolute == 7.0
    assert errors("Sum", {}, a, b, d, c).absolute == pytest.approx(np.hypot(7, 7.5))
    assert errors("Mean", {}, a, b, c).absolute == pytest.approx(7 / 3)
    found = errors("CumSum", {}, np.array([3.0, 4.0, -7.0]), np.array(0))
    assert found.absolute.tolist() == pytest.approx([4.5, 1.5 * np.hypot(3, 7), 1.5 * np.hypot(3, 7)])


def test_a_scattered_sum_errs_where_updates_meet():
    inputs = np.array([1.0, 2.0, 3.0]), np.array([1, 1]), np.array([4.0, -6.0])
    assert errors("ScatterElements", {"reduction": "add"}, *inputs).absolute.tolist() == [0, 12, 0]
    assert errors("ScatterElements", {}, inputs[0], inputs[1][:1], inputs[2][:1]) is None


def test_a_product_in_an_order_that_overflows_may_be_anything():
    def of(*factors, op_type="ReduceProd"):
        found = errors(op_type, {}, np.array(factors), np.array([0]))
        return bool(found.infinite.any()), bool(np.max(found.relative) > 1e7)

    assert of(1e30, 1e30, 1e-30) == (True, False)
    assert of(1e-30, 1e-30, 1e30) == (False, True)
    assert of(1e30, 1e-30, 2.0) == (False, False)
    assert of(1e30, 1e30, 0.0) == (False, False)
    assert of(1e30, 1e30, 1e-30, op_type="CumProd") == (True, False)
    assert of(1e30, 1e-30, 2.0, op_type="CumProd") == (False, False)


def test_a_variance_in_one_pass_errs_by_the_mean():
    x = np.random.default_rng(0).normal(size=(1, 4, 8, 8))
    scale, bias = np.ones(4), np.zeros(4)

    def largest(op_type, shift, **keywords):
        return float(np.max(errors(op_type, keywords, x + shift, scale, bias).absolute))

    assert largest("InstanceNormalization", 100) < 1e3
    assert largest("GroupNormalization", 100, num_groups=4) > 1e4
    assert largest("GroupNormalization", 0, num_groups=4) < 30


def test_small_windows_of_lrn_err_by_large_ones_before_them():
    x = np.ones((1, 64, 1, 1))
    alone = errors("LRN", {"size": 3, "alpha": 1.0}, x).relative[0, 32, 0, 0]
    x[0, 4] = 100
    assert errors("LRN", {"size": 3, "alpha": 1.0}, x).relative[0, 32, 0, 0] > 100 * alone


def test_interpolation_errs_where_a_place_in_float32_is_another():
    x = np.arange(6.0)[None, None, None]
    scales = {size: np.array([1, 1, 1, size]) for size in (2.0, 1.7)}

    def of_linear(scale):
        return errors("Resize", {"mode": "linear"}, x, None, scales[scale]).absolute

    assert of_linear(2.0).max() == 0
    assert 0.5 < of_linear(1.7).max() < 20
    assert errors("Resize", {}, x, None, scales[2.0]) is None


def test_a_nearest_element_that_float32_does_not_pick_is_no_error():
    """(6 + 1/2) · (3 / 13) − 1/2 is 1, which floor finds in float32 or not: the element before it."""
    x = np.arange(3.0)[None, None, None]
    keywords = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}
    found = errors("Resize", keywords, x, None, None, np.array([1, 1, 1, 13]))
    assert np.flatnonzero(found.absolute).tolist() == [6]
    assert found.absolute[0, 0, 0, 6] * 2.0**-24 == 1.0


def test_weights_of_recurrent_layers_err_by_their_products():
    for op_type, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        inputs = [of(7, 2, 5), of(1, 3 * gates, 5), of(1, 3 * gates, 20), None]
        first, w, r, b = model_of(op_type).operands({}, inputs)
        assert first is None
        assert (w.relative, r.relative) == pytest.approx((0.41 * 5, 0.41 * 5))
        assert b.relative == 1.0


def test_models_are_built_of_functions():
    x = np.array([-2.0, 3.0])
    assert function(3.0).results({}, [x], [x])[0] == Deviation(3.0)
    model = absolute(lambda x, *, alpha=1.0: alpha * np.abs(x), 0.5, correctly_rounded=True)
    deviation = model.results({"alpha": 2.0}, [x], [x])[0]
    assert (deviation.relative, deviation.absolute.tolist()) == (0.5, [4.0, 6.0])
    assert model.correctly_rounded
    assert not sum_of(lambda keywords, inputs: 3).correctly_rounded
    assert EXACT.exact
    assert not RoundingModel(operands=lambda keywords, inputs: ()).exact
