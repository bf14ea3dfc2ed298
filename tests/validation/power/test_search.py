"""The smallest error that is seen, for answers that are proportional to the error and for others."""

import math

import pytest

from normdeploy.validation.power.search import LARGEST, PRECISION, SMALLEST, smallest_seen


class Answer:
    """Counts how often it is asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def __call__(self, size):
        self.asked.append(size)
        return self.answer(size)


@pytest.mark.parametrize("threshold", [3e-14, 1e-8, 3e-7, 1e-3, 0.01, 0.3, 0.99])
@pytest.mark.parametrize(
    ("answer", "precision", "most"),
    [
        (lambda size: size, PRECISION, 3),
        (lambda size: size**2, PRECISION, 12),
        (lambda size: math.sqrt(size), PRECISION**2, 12),
        (lambda size: size if size < 2 else size + 1e6, PRECISION, 14),
        (lambda size: min(size, 50.0), PRECISION, 10),
    ],
    ids=["proportional", "square", "root", "kink", "saturated"],
)
def test_what_grows(answer, precision, most, threshold):
    ratio = Answer(lambda size: answer(size / threshold))
    found = smallest_seen(ratio, 0.01)
    assert threshold < found <= precision * threshold * (1 + 1e-9)
    assert len(ratio.asked) <= most


@pytest.mark.parametrize("threshold", [1e-7, 1e-3, 0.01, 0.5])
def test_a_step(threshold):
    ratio = Answer(lambda size: math.inf if size > threshold else 0.0)
    found = smallest_seen(ratio, 0.01)
    assert threshold < found <= PRECISION * threshold
    assert len(ratio.asked) <= 14


def test_what_is_never_seen():
    ratio = Answer(lambda size: 0.0)
    assert smallest_seen(ratio, 0.01) is None
    assert ratio.asked == [0.01, 0.1, LARGEST]
    assert smallest_seen(lambda size: 0.9 * size, 0.01) is None


def test_what_is_always_seen():
    assert smallest_seen(lambda size: math.inf, 0.01) == pytest.approx(SMALLEST)


def test_an_error_that_hides_when_it_grows():
    found = smallest_seen(lambda size: 2.0 if 1e-4 < size < 1e-2 else 0.0, 5e-3)
    assert 1e-4 < found <= PRECISION * 1e-4
