"""Where a number stands as a weight."""

import pytest

from normdeploy.graph.inference import inferred
from normdeploy.validation.weight_positions import stands_as_weight, weight_attributes
from tests.builders import parsed

BODIES = {
    "y = Mul (x, w)": True,
    "y = Add (w, x)": True,
    "y = BatchNormalization (x, w, w, w, w)": True,
    "y = PRelu (x, w)": True,
    "t = Reshape (w, s) y = Mul (x, t)": True,
    "t = Cast <to = 1> (w) u = Sqrt (t) y = Div (x, u)": True,
    "y = Sum (x, w)": True,
    "y = Pow (w, x)": True,
    "y = Pow (x, w)": False,
    "y = Max (x, w)": False,
    "c = Less (x, w) y = Cast <to = 1> (c)": False,
    "t = Cast <to = 7> (w) y = Expand (x, t)": False,
    "t = Mul (x, w) y = Pow (t, w)": False,
    "y = local.scale (x, w)": True,
    "y = local.power (x, w)": False,
    "y = Relu (x)": False,
}
FUNCTIONS = """
<domain: "local", opset_import: ["": 21]> scale (a, b) => (c) { t = Identity (b) c = Mul (a, t) }
<domain: "local", opset_import: ["": 21]> power (a, b) => (c) { c = Pow (a, b) }
"""


@pytest.mark.parametrize(("body", "expected"), BODIES.items())
def test_positions(body, expected):
    text = f"g (float[4, 2] x) => (float[4, 2] y) <float[2] w = {{1, 2}}, int64[1] s = {{2}}> {{ {body} }}"
    model = inferred(parsed(text, FUNCTIONS))
    assert stands_as_weight(model.graph.initializers["w"], model.functions) is expected


def test_a_stored_output_is_a_weight():
    model = inferred(parsed("g () => (float[2] w) <float[2] w = {1, 2}> { u = Identity (w) }"))
    assert stands_as_weight(model.graph.initializers["w"], model.functions)


def test_attributes():
    text = """g (float[N, 4, 2, 2] x) => (float[N, 4, 2, 2] y) {
        a = LRN <size = 3, alpha = 0.1, beta = 0.7> (x)
        b = ThresholdedRelu <alpha = 0.1> (a)
        y = LeakyRelu <alpha = 0.1> (b) }"""
    found = [sorted(weight_attributes(node)) for node in inferred(parsed(text)).graph]
    assert found == [["alpha", "beta"], [], ["alpha"]]
