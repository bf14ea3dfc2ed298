"""How a function stands for an operator."""

from __future__ import annotations

import pytest

from normdeploy.reference.rounding_model import CORRECTLY_ROUNDED, EXACT
from normdeploy.reference.signature import marked_operators, operator


@operator("Twice", since=1, rounding=EXACT)
@operator("Scale", since=3, domain="local", rounding=CORRECTLY_ROUNDED)
def scaled(x, offset=None, *, factor=2.0, n_outputs=1):
    return x * factor


def test_each_mark_is_an_operator():
    found = {item.op_type: item for item in marked_operators(scaled)}
    assert {name: (item.domain, item.since) for name, item in found.items()} == {
        "Twice": ("", 1),
        "Scale": ("local", 3),
    }
    assert found["Twice"].rounding is EXACT
    assert found["Scale"].rounding is CORRECTLY_ROUNDED
    assert all(item.function is scaled for item in found.values())


def test_keyword_only_parameters_are_attributes_except_the_number_of_outputs():
    item = marked_operators(scaled)[0]
    assert item.attributes == {"factor"}
    assert item.takes_n_outputs


def test_a_function_without_the_number_of_outputs_is_not_told_it():
    @operator("Same", since=1, rounding=EXACT)
    def same(x):
        return x

    assert not marked_operators(same)[0].takes_n_outputs


def test_a_function_without_a_mark_is_no_operator():
    assert marked_operators(len) == []


def test_an_operator_without_a_rounding_model_fails_where_it_is_defined():
    with pytest.raises(TypeError, match="rounding"):
        operator("Twice", since=1)
