"""The reference's number types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.reference.dtypes import compute_dtype, widen


@pytest.mark.parametrize(
    ("declared", "held"),
    [
        (ir.DataType.FLOAT, np.float64),
        (ir.DataType.FLOAT16, np.float64),
        (ir.DataType.BFLOAT16, np.float64),
        (ir.DataType.FLOAT8E4M3FN, np.float64),
        (ir.DataType.DOUBLE, np.float64),
        (ir.DataType.COMPLEX64, np.complex128),
        (ir.DataType.INT8, np.int8),
        (ir.DataType.INT4, ml_dtypes.int4),
        (ir.DataType.BOOL, np.bool_),
        (ir.DataType.STRING, np.object_),
    ],
)
def test_floating_types_are_float64_and_others_stay(declared, held):
    assert compute_dtype(declared) == held


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_widening_is_exact(dtype):
    array = np.array([1.5, -0.0, 2**-6, np.inf, np.nan]).astype(dtype)
    wide = widen(array)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.astype(dtype).view(np.uint8), array.view(np.uint8))


@pytest.mark.parametrize("array", [np.ones(2), np.ones(2, np.int32), np.ones(2, bool)], ids=lambda x: x.dtype)
def test_nothing_is_copied_where_nothing_changes(array):
    assert widen(array) is array


@pytest.mark.parametrize("array", [np.array(["a", "ß"]), np.array([b"a", "ß".encode()], object)])
def test_strings_are_objects(array):
    assert widen(array).tolist() == ["a", "ß"]
    assert widen(array).dtype == object
