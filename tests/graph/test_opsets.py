"""The versions that a model imports."""

import pytest
from onnx import defs

from normdeploy.graph.opsets import BROADCASTING_OPSET, standard_opset


def test_the_standard_operators_go_by_two_names():
    assert standard_opset({"": 17, "own": 1}) == 17
    assert standard_opset({"ai.onnx": 18}) == 18
    assert standard_opset({"own": 3}) == 1


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Gemm"])
def test_arithmetic_has_no_attribute_that_asks_for_broadcasting_from_there_on(op_type):
    before, after = (
        defs.get_schema(op_type, opset) for opset in (BROADCASTING_OPSET - 1, BROADCASTING_OPSET)
    )
    assert "broadcast" in before.attributes
    assert "broadcast" not in after.attributes


def test_pools_count_their_padding_from_there_on():
    before, after = (
        defs.get_schema("AveragePool", opset) for opset in (BROADCASTING_OPSET - 1, BROADCASTING_OPSET)
    )
    assert "count_include_pad" not in before.attributes
    assert "count_include_pad" in after.attributes
