"""What stands at the operators' definitions: presets, and how many terms their sums have."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.reference import registry
from normdeploy.reference.rounding_model import (
    BOUNDED_FUNCTION,
    CANCELLING,
    CONVERSION,
    CORRECTLY_ROUNDED,
    EXACT,
    FUNCTION,
    recurrent,
    sum_of,
)

PRESETS = {
    "Relu": EXACT, "Transpose": EXACT, "Scatter": EXACT, "Hardmax": EXACT, "ThresholdedRelu": EXACT,
    "CenterCropPad": EXACT, "TensorScatter": EXACT, "Equal": EXACT, "MatMulInteger": EXACT, "If": EXACT,
    "Cast": CONVERSION, "CastLike": CONVERSION,
    "Add": CORRECTLY_ROUNDED, "Sqrt": CORRECTLY_ROUNDED, "LeakyRelu": CORRECTLY_ROUNDED,
    "PRelu": CORRECTLY_ROUNDED,
    "Exp": FUNCTION, "Pow": FUNCTION, "DequantizeLinear": FUNCTION,
    "Tanh": BOUNDED_FUNCTION, "Elu": BOUNDED_FUNCTION, "Celu": BOUNDED_FUNCTION, "Selu": BOUNDED_FUNCTION,
    "HardSwish": BOUNDED_FUNCTION,
    "LayerNormalization": CANCELLING, "BatchNormalization": CANCELLING, "RotaryEmbedding": CANCELLING,
    "AffineGrid": CANCELLING,
}  # fmt: skip


@pytest.mark.parametrize(("op_type", "model"), PRESETS.items())
def test_presets(op_type, model):
    assert registry.lookup(op_type, "", 26).rounding is model


def of(*shape):
    return np.zeros(shape)


AXES = np.array([1, -1])
TERMS = [
    ("Conv", {}, [of(1, 6, 9, 9), of(4, 3, 5, 5)], 75),
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
    ("ReduceL2", {}, [of(2, 3, 4), AXES], 12),
    ("CumSum", {}, [of(2, 30, 4), np.array(-1)], 4),
    ("Sum", {}, [of(2), of(2)], 1),
    ("Sum", {}, [of(2), of(2), of(2), of(2)], 3),
    ("Mean", {}, [of(2), of(2), of(2)], 2),
    ("LSTM", {}, [of(7, 2, 5), of(1, 12, 5), of(1, 12, 3)], (12 + 5) * 7),
    ("GRU", {"layout": 1}, [of(2, 7, 5), of(1, 9, 5), of(1, 9, 3)], (9 + 5) * 7),
    ("Relu", {}, [of(9, 9)], 1),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "keywords", "inputs", "terms"), TERMS)
def test_terms_of_the_inner_sums(op_type, keywords, inputs, terms):
    domain = "normdeploy" if op_type == "IntraChannelLRN" else ""
    assert registry.lookup(op_type, domain, 22).rounding.count_terms(keywords, inputs) == terms


def test_terms_of_older_opsets():
    reduction = registry.lookup("ReduceMean", "", 17).rounding
    assert reduction.count_terms({"axes": [0, 2]}, [of(2, 3, 4)]) == 8
    rows = registry.lookup("Softmax", "", 12).rounding
    assert rows.count_terms({}, [of(2, 3, 4)]) == 12
    assert rows.count_terms({"axis": 2}, [of(2, 3, 4)]) == 4


def test_steps_of_recurrent_layers():
    layer = registry.lookup("RNN", "", 22).rounding
    assert layer.count_steps({}, [of(7, 2, 5)]) == 7
    assert layer.count_steps({"layout": 1}, [of(2, 7, 5)]) == 7
    assert registry.lookup("Add", "", 22).rounding.count_steps({}, [of(7)]) == 1


PLAIN = {
    "AveragePool", "CumSum", "GlobalAveragePool", "GlobalLpPool", "IntraChannelLRN", "LpPool", "ReduceL1",
    "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceSum", "ReduceSumSquare",
}  # fmt: skip


def test_sums_without_weights():
    found = {name for (_, name), items in registry.OPERATORS.items() if items[-1].rounding.plain_sum}
    assert found == PLAIN


def test_one_slides_over_channels():
    assert {name for (_, name), items in registry.OPERATORS.items() if items[-1].rounding.running_sum} == {
        "LRN"
    }


def test_a_sum_inside_changes_nothing_else():
    terms = registry.lookup("Softmax", "", 13).rounding.terms
    model = BOUNDED_FUNCTION.of_sum(terms, plain=True)
    assert (model.ulps, model.absolute_ulps) == (BOUNDED_FUNCTION.ulps, BOUNDED_FUNCTION.absolute_ulps)
    assert (model.terms, model.plain_sum) == (terms, True)
    assert sum_of(terms).ulps == CORRECTLY_ROUNDED.ulps
    assert not sum_of(terms).correctly_rounded  # a sum that ends on an integer may have passed others


def test_counts_are_one_where_there_is_nothing_to_count():
    model = recurrent(lambda keywords, inputs: 0, lambda keywords, inputs: 0)
    assert model.count_terms({}, [of(3)]) == model.count_steps({}, [of(3)]) == 1
    assert model.count_terms({}, []) == model.count_terms({}, [None]) == 1
