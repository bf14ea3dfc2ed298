"""Where a number stands as a weight."""

import pytest

from normdeploy.graph.inference import inferred
from normdeploy.validation.weight_positions import weight_attributes, weight_role
from tests.builders import parsed

BODIES = {
    "y = Mul (x, w)": "weight",
    "y = Add (w, x)": "addend",
    "y = BatchNormalization (x, w, w, w, w)": "weight",
    "y = BatchNormalization (x, one, w, w, one)": "addend",
    "p = Mul (x, w) y = Add (p, w)": "weight",
    "y = PRelu (x, w)": "weight",
    "t = Reshape (w, s) y = Mul (x, t)": "weight",
    "t = Cast <to = 1> (w) u = Sqrt (t) y = Div (x, u)": "weight",
    "y = Sum (x, w)": "addend",
    "y = Pow (w, x)": "weight",
    "y = Pow (x, w)": None,
    "y = Max (x, w)": None,
    "c = Less (x, w) y = Cast <to = 1> (c)": None,
    "t = Cast <to = 7> (w) y = Expand (x, t)": None,
    "t = Mul (x, w) y = Pow (t, w)": None,
    "y = local.scale (x, w)": "weight",
    "y = local.power (x, w)": None,
    "y = Relu (x)": None,
}
FUNCTIONS = """
<domain: "local", opset_import: ["": 21]> scale (a, b) => (c) { t = Identity (b) c = Mul (a, t) }
<domain: "local", opset_import: ["": 21]> power (a, b) => (c) { c = Pow (a, b) }
"""


@pytest.mark.parametrize(("body", "expected"), BODIES.items())
def test_positions(body, expected):
    stored = "float[2] w = {1, 2}, float[2] one = {1, 1}, int64[1] s = {2}"
    text = f"g (float[4, 2] x) => (float[4, 2] y) <{stored}> {{ {body} }}"
    model = inferred(parsed(text, FUNCTIONS))
    assert weight_role(model.graph.initializers["w"], model.functions) == expected


def test_a_stored_output_is_a_weight():
    model = inferred(parsed("g () => (float[2] w) <float[2] w = {1, 2}> { u = Identity (w) }"))
    assert weight_role(model.graph.initializers["w"], model.functions) == "weight"


def test_attributes():
    text = """g (float[N, 4, 2, 2] x) => (float[N, 4, 2, 2] y) {
        a = LRN <size = 3, alpha = 0.1, beta = 0.7> (x)
        b = ThresholdedRelu <alpha = 0.1> (a)
        y = LeakyRelu <alpha = 0.1> (b) }"""
    found = [sorted(weight_attributes(node)) for node in inferred(parsed(text)).graph]
    assert found == [["alpha", "beta"], [], ["alpha"]]
