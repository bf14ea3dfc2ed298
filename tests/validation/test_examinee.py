"""What the examinations of a check are given."""

import pytest

from normdeploy.errors import UsageError
from normdeploy.graph.io import load
from normdeploy.validation.examinee import paired_models
from tests.builders import parsed, unary
from tests.validation.examinees import examinee


def test_a_reference_is_another_file():
    proto = unary("Relu", ["N", 2])
    assert not examinee(proto).has_reference
    assert examinee(proto, original=proto).has_reference


def test_without_a_reference_the_model_is_right():
    deployed, original, pairing = paired_models(unary("Relu", ["N", 2]), None, None)
    assert original is deployed
    assert pairing.remarks == []
    with pytest.raises(UsageError, match="map tells the names of a reference"):
        paired_models(unary("Relu", ["N", 2]), None, {"x": "x"})


def test_a_reference_gets_the_models_names_and_the_callers_stays():
    given = load(parsed("g (float[N, 2] old) => (float[N, 2] out) { out = Relu (old) }"))
    _, original, pairing = paired_models(unary("Relu", ["N", 2]), given, None)
    assert [value.name for value in original.graph.inputs] == ["x"]
    assert [value.name for value in given.graph.inputs] == ["old"]
    assert pairing.remarks == [
        "input 'x' stands for 'old' of the reference",
        "output 'y' stands for 'out' of the reference",
    ]
