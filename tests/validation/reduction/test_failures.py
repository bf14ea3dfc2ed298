"""Only what fails as the whole model does counts."""

import math

import numpy as np
import pytest

from normdeploy.errors import BackendUnavailable, ModelError
from normdeploy.graph.inference import inferred
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize import by_rounding
from normdeploy.validation.reduction.failures import Failure, Piece, in_backend, in_graphs, like
from normdeploy.validation.tolerance import Tolerance
from tests.builders import unary

PIECE = Piece(inferred(unary("Neg", [1, 4])), None, {"x": np.array([[1, 2, 3, 4]], np.float32)})


def wrong(ratio, name="y"):
    return Failure("mismatch", "", {name: TensorComparison(4, 1, noise_ratio=ratio)}, {name: (0, 0)})


def giving(*numbers):
    return lambda model, inputs: {"y": np.array([numbers], np.float32)}


@pytest.mark.parametrize("of_the_whole", [1.5, 3.0, 1e6, math.inf])
@pytest.mark.parametrize("of_the_piece", [1.2, 2.0, 3.9, 4.0, 1e9])
def test_a_piece_has_to_be_clearly_wrong_or_as_wrong_as_the_model(of_the_whole, of_the_piece):
    """A node that rounds badly is not taken for the defect."""
    found = like(wrong(of_the_whole), lambda piece: wrong(of_the_piece))(PIECE)
    assert (found is not None) == (of_the_piece >= min(4, of_the_whole))


@pytest.mark.parametrize(
    ("whole", "piece", "same"),
    [
        (
            "its process was ended by SIGABRT, while loading",
            "its process was ended by SIGABRT, while loading",
            True,
        ),
        (
            "its process was ended by SIGABRT, while loading",
            "its process was ended by SIGSEGV, while running",
            False,
        ),
        (
            "Fail: node 'conv1' of /tmp/a.onnx has no kernel",
            "Fail: node 'r' of /tmp/b/c.onnx has no kernel",
            True,
        ),
        ("Fail: node 'conv1' has no kernel for type float16", "RuntimeException: bad input shape", False),
        ("", "", True),
    ],
)
def test_crashes_are_told_apart_by_what_is_said(whole, piece, same):
    oracle = like(Failure("crashed", whole), lambda _: Failure("crashed", piece))
    assert (oracle(PIECE) is not None) == same


def test_another_kind_of_failure_does_not_count():
    assert like(wrong(1e6), lambda piece: Failure("crashed", "no kernel"))(PIECE) is None
    assert like(Failure("timeout", "too long"), lambda piece: wrong(1e6))(PIECE) is None
    assert like(Failure("timeout", "too long"), lambda piece: Failure("timeout", "too"))(PIECE) is not None


def test_pieces_that_nobody_can_judge_do_not_end_the_search():
    def raising(error):
        def oracle(piece):
            raise error

        return oracle

    for error in (ModelError("no model"), KeyError("y"), MemoryError()):
        assert like(wrong(10), raising(error))(PIECE) is None
    with pytest.raises(BackendUnavailable):
        like(wrong(10), raising(BackendUnavailable("no GPU")))(PIECE)


def test_wrong_numbers_of_a_backend_and_where():
    assert in_backend(giving(-1, -2, -3, -4), by_rounding(0), None)(PIECE) is None
    found = in_backend(giving(-1, -2, -3.5, -4.1), by_rounding(0), None)(PIECE)
    assert found.reason == "output 'y': 2 of 4 elements are wrong"
    assert found.worst == {"y": (0, 2)}


def test_a_tolerance_has_to_be_missed_as_well_as_what_rounding_explains():
    ulp = np.nextafter(np.float32(3), np.float32(4)) - np.float32(3)
    cases = {(-1, -2, -3 - ulp / 2, -4): 1e-12, (-1, -2, -3.1, -4): 0.2, (-1, -2, -3.3, -4): 0.2}
    found = [
        in_backend(giving(*numbers), by_rounding(0), Tolerance(0, atol))(PIECE) is not None
        for numbers, atol in cases.items()
    ]
    assert found == [False, False, True]


def test_graphs_that_differ():
    other = inferred(unary("Abs", [1, 4]))
    found = in_graphs(by_rounding(0), None)(Piece(PIECE.model, other, PIECE.inputs))
    assert (found.status, found.worst) == ("mismatch", {"y": (0, 3)})
    assert in_graphs(by_rounding(0), None)(Piece(PIECE.model, PIECE.model.clone(), PIECE.inputs)) is None
    assert in_graphs(by_rounding(0), Tolerance(0, 9))(Piece(PIECE.model, other, PIECE.inputs)) is None
