"""From layer to layer: the rest of a graph gives what the whole one gives, and errors go on to its end."""

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.power.walk import Cuts, Walk, outputs_with_errors
from tests.builders import Graph, conv_lrn, parsed
from tests.validation.networks import residual_network
from tests.validation.random_models import random_model


def test_what_crosses_a_cut():
    graph = """g (float[N, 2] x) => (float[N, 2] y, float[N, 2] early) {
        w = Constant <value = float[2, 2] {1, 2, 3, 4}> ()
        skip = Relu (x)
        early = MatMul (x, w)
        used = Add (early, w)
        y = Mul (used, skip)
    }"""
    cuts = Cuts(inferred(parsed(graph)))
    assert [layer.name for layer in cuts.layers] == ["early", "used"]
    assert [cuts.crossing(layer) for layer in cuts.layers] == [["skip", "early"], ["skip", "early", "used"]]


@pytest.mark.parametrize("seed", range(11))
def test_the_rest_of_the_graph_gives_what_the_whole_gives(seed):
    drawn = random_model(seed)
    model, inputs = inferred(drawn.model), drawn.samples[1]
    evaluator, cuts = Evaluator(model), Cuts(model)
    expected = evaluator.run(inputs)
    walk = Walk(evaluator, cuts, inputs)
    for layer in cuts.layers:
        walk.advance(layer)
        outputs = walk.outputs_with_error(layer, 0.0, [0])
        for name, array in expected.items():
            np.testing.assert_array_equal(outputs[name], array)


def test_an_error_in_one_layer_does_not_stay():
    model = inferred(residual_network())
    inputs = {"x": np.random.default_rng(0).standard_normal((1, 3, 6, 6))}
    evaluator, cuts = Evaluator(model), Cuts(model)
    (output,) = evaluator.run(inputs).values()
    walk = Walk(evaluator, cuts, inputs)
    for layer in cuts.layers:
        walk.advance(layer)
        (wrong,) = walk.outputs_with_error(layer, 0.1, [0]).values()
        assert not np.allclose(wrong, output, rtol=1e-6)
        (right,) = walk.outputs_with_error(layer, 0.0, [0]).values()
        np.testing.assert_array_equal(right, output)


def test_errors_in_all_layers_add_up():
    g = Graph()
    x = g.input("x", "N", 1)
    y = g.node("Mul", g.node("Mul", x, g.weight(2.0)), g.weight(3.0))
    model = inferred(g.model(y))
    evaluator, cuts, inputs = Evaluator(model), Cuts(model), {"x": np.ones((1, 1))}
    seen = {
        round(float(outputs_with_errors(evaluator, cuts, inputs, 0.5, [seed])[y][0, 0]), 9)
        for seed in range(30)
    }
    assert seen == {6 * 0.25, 6 * 0.75, 6 * 2.25}


def test_errors_in_all_layers_are_those_in_each():
    """In a chain of layers, what one with an error gives is what the next one with an error is given."""
    model, inputs = inferred(conv_lrn()), {"x": np.random.default_rng(0).standard_normal((1, 3, 6, 6))}
    evaluator, cuts = Evaluator(model), Cuts(model)
    conv, lrn = cuts.layers
    given = conv.with_error(evaluator.run(inputs, ["c"])["c"], 0.1, [3])
    expected = lrn.with_error(evaluator.run(inputs, given={"c": given})["y"], 0.1, [3])
    np.testing.assert_array_equal(outputs_with_errors(evaluator, cuts, inputs, 0.1, [3])["y"], expected)


def test_inputs_are_not_changed():
    model, inputs = inferred(conv_lrn()), {"x": np.ones((1, 3, 6, 6))}
    outputs_with_errors(Evaluator(model), Cuts(model), inputs, 0.5, [0])
    assert np.all(inputs["x"] == 1)
