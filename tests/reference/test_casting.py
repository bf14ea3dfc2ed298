"""Casts, where ONNX's node tests are excluded: the reference does not narrow."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normdeploy.reference.casting import cast, cast_like, quantize_linear


@pytest.mark.parametrize(
    "to", [ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT8E4M3FN], ids=lambda item: item.name
)
def test_a_cast_between_floating_types_rounds_nothing(to):
    x = np.array([0.1, 1e30, -7.0])
    assert cast(x, to=int(to)) is x


def test_a_cast_to_an_integer_truncates():
    x = np.array([1.9, -1.9])
    assert cast(x, to=int(ir.DataType.INT32)).tolist() == [1, -1]
    assert cast_like(x, np.zeros(1, np.int8)).tolist() == [1, -1]


def test_quantization_to_a_floating_type_is_refused():
    with pytest.raises(NotImplementedError, match="floating"):
        quantize_linear(np.ones(2), np.asarray(0.5), np.zeros(()))
