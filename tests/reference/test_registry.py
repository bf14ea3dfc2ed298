"""The table of operators: each variant has the standard's attributes and defaults."""

from __future__ import annotations

import inspect
from itertools import pairwise

import onnx.defs
import onnx.helper
import pytest

from normdeploy.reference import registry
from normdeploy.reference.rounding_model import RoundingModel

VARIANTS = [item for variants in registry.OPERATORS.values() for item in variants if item.domain == ""]

# Attributes of the standard that no implementation takes.
LEFT_OUT = {
    ("Constant", "sparse_value"),  # a sparse tensor
    ("Upsample", "height_scale"),  # opset 1
    ("Upsample", "width_scale"),
}


def _last_opset(item):
    later = [other.since for other in registry.OPERATORS["", item.op_type] if other.since > item.since]
    return min(later) - 1 if later else onnx.defs.onnx_opset_version()


def _attributes(schema):
    return {name: item for name, item in schema.attributes.items() if (schema.name, name) not in LEFT_OUT}


@pytest.mark.parametrize("item", VARIANTS, ids=lambda item: f"{item.op_type}-{item.since}")
def test_keywords_are_the_standards_attributes(item):
    """In every opset of a variant the attributes are among its keywords; in the last they are the same."""
    newest = onnx.defs.get_schema(item.op_type, _last_opset(item))
    assert set(_attributes(newest)) == item.attributes
    for opset in range(item.since, _last_opset(item)):
        assert set(_attributes(onnx.defs.get_schema(item.op_type, opset))) <= item.attributes
    parameters = inspect.signature(item.function).parameters
    for name, attribute in _attributes(newest).items():
        default = parameters[name].default
        if attribute.required:
            assert default is inspect.Parameter.empty, name
        elif attribute.default_value.name:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            if isinstance(value, bytes):
                assert default == value.decode(), name
            elif isinstance(value, list):
                decoded = [part.decode() if isinstance(part, bytes) else part for part in value]
                assert list(default) == decoded, name
            else:
                assert default == pytest.approx(value, rel=1e-6), name


def test_lookup_takes_the_newest_variant_that_the_opset_has():
    found = {opset: registry.lookup("Softmax", "", opset).since for opset in (1, 12, 13, 30)}
    assert found == {1: 1, 12: 1, 13: 13, 30: 13}
    assert registry.lookup("Gelu", "", 19) is None
    assert registry.lookup("Softmax", "com.acme", 13) is None


def test_variants_are_in_order_and_distinct():
    for variants in registry.OPERATORS.values():
        assert all(first.since < second.since for first, second in pairwise(variants))


def test_lookup_falls_back_on_delegated_operators():
    assert registry.lookup("RoiAlign", "", 16).since == 16
    assert registry.lookup("RoiAlign", "", 9) is None


def test_why_an_operator_is_missing():
    assert registry.why_missing("FooBar", "", 21) == "the NumPy reference has no such operator"
    assert "from opset 20 on" in registry.why_missing("Gelu", "", 19)


@pytest.mark.parametrize(
    "item",
    [item for variants in registry.OPERATORS.values() for item in variants],
    ids=lambda item: f"{item.op_type}-{item.since}",
)
def test_every_operator_is_classified_and_says_what_it_computes(item):
    assert isinstance(item.rounding, RoundingModel)
    assert item.function.__doc__
