"""Shapes as tuples, and as users read them."""

import onnx_ir as ir
import pytest

from normdeploy.graph.shapes import dims_of, fits, format_dims


def test_sizes_names_and_neither():
    assert dims_of(ir.Shape([2, "N", None, 0])) == (2, "N", None, 0)


def test_an_empty_name_is_none():
    assert dims_of([ir.SymbolicDim("")]) == (None,)


def test_a_scalar_has_no_sizes():
    assert dims_of(ir.Shape([])) == ()


@pytest.mark.parametrize(
    ("dims", "text"), [((2, "N", None), "[2, N, ?]"), ((), "[]"), (None, "of unknown rank")]
)
def test_format(dims, text):
    assert format_dims(dims) == text


@pytest.mark.parametrize(
    ("shape", "right"), [((2, 5, 7), True), ((2, 0, 0), True), ((3, 5, 7), False), ((2, 5), False)]
)
def test_a_shape_fits_where_rank_and_known_sizes_agree(shape, right):
    assert fits((2, "N", None), shape) is right
