"""Pieces get as small as the failure allows, and no further."""

import numpy as np
import pytest
from onnx import helper

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.reduction.failures import Failure, Piece
from normdeploy.validation.reduction.shrinking import Shrinking
from tests.builders import FLOAT, model

X = np.random.default_rng(0).standard_normal((1, 6, 9, 9), dtype=np.float32)


def convolution():
    weights = {"w": np.random.default_rng(1).standard_normal((4, 6, 3, 3), dtype=np.float32)}
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1] * 4)
    return inferred(model([node], {"x": (FLOAT, [1, 6, 9, 9])}, {"y": (FLOAT, [1, 4, 9, 9])}, weights))


def wrong_at(place):
    return Failure("mismatch", "", {"y": TensorComparison(4, 1, noise_ratio=10.0)}, {"y": place})


def shrunk(fails, place=(0, 2, 5, 5)):
    """The smallest piece, where an oracle says whether the reference's output of a piece fails."""

    def oracle(piece):
        output = Evaluator(piece.model).run(piece.inputs)["y"]
        where = np.unravel_index(np.argmax(np.abs(output)), output.shape)
        return wrong_at(tuple(map(int, where))) if fails(piece, output) else None

    shrinking = Shrinking(Piece(convolution(), None, {"x": X}), wrong_at(place), oracle, lambda doing: None)
    shrinking.search()
    assert shrinking.accepted[0][0].inputs["x"].shape == (1, 6, 9, 9), "the given one is the first"
    return shrinking.accepted[-1][0]


def test_everything_that_is_not_needed_goes():
    piece = shrunk(lambda piece, output: True)
    (node,) = piece.model.graph
    assert piece.inputs["x"].shape == (1, 1, 1, 1)
    assert piece.model.graph.initializers["w"].const_value.shape.numpy() == (1, 1, 1, 1)
    assert not node.attributes


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_go_with_the_filters_that_read_them(channels):
    """They are halved, or taken one alone."""
    piece = shrunk(lambda piece, output: piece.inputs["x"].shape[1] >= channels)
    left = 6 if channels == 6 else 3
    assert piece.inputs["x"].shape == (1, left, 1, 1)
    assert piece.model.graph.initializers["w"].const_value.shape.numpy()[1] == left


def test_the_largest_error_stays():
    """The element of which the output is made largest has to be kept."""
    largest = float(np.abs(Evaluator(convolution()).run({"x": X})["y"]).max())
    place = np.abs(Evaluator(convolution()).run({"x": X})["y"]).argmax()
    place = tuple(map(int, np.unravel_index(place, (1, 4, 9, 9))))
    piece = shrunk(lambda piece, output: np.abs(output).max() > 0.2 * largest, place)
    assert piece.inputs["x"].size < X.size
    assert np.abs(Evaluator(piece.model).run(piece.inputs)["y"]).max() > 0.2 * largest


def test_what_fails_in_whole_only_stays_as_it_is():
    def fails(piece, output):
        (node,) = piece.model.graph
        return output.size == 324 and piece.inputs["x"].size == 486 and len(node.attributes) == 1

    piece = shrunk(fails)
    assert piece.inputs["x"].shape == (1, 6, 9, 9)
    assert "pads" in next(iter(piece.model.graph)).attributes


def test_the_given_piece_is_not_changed():
    whole = convolution()
    shrinking = Shrinking(
        Piece(whole, None, {"x": X}),
        wrong_at((0, 0, 0, 0)),
        lambda piece: wrong_at((0, 0, 0, 0)),
        lambda doing: None,
    )
    shrinking.search()
    assert len(shrinking.accepted) > 1
    assert whole.graph.inputs[0].shape.numpy() == (1, 6, 9, 9)
    np.testing.assert_array_equal(
        Evaluator(whole).run({"x": X})["y"], Evaluator(convolution()).run({"x": X})["y"]
    )
