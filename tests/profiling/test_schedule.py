import math

import numpy as np
import pytest

from normdeploy.profiling.schedule import LEAST_ROUNDS, MOST_ROUNDS, number_of_rounds, orders, warm_up


class Falling:
    """A subject whose windows have these medians, the last one from then on."""

    alive = True
    warm_up = None

    def __init__(self, medians):
        self.medians, self.windows = list(medians), 0

    def run_for(self, seconds):
        median = self.medians[min(self.windows, len(self.medians) - 1)]
        self.windows += 1
        return np.full(5, float(median))


def test_warm_up_ends_when_latencies_have_stopped_falling():
    subject = Falling([10, 5, 3, 2])
    assert warm_up(subject, 60) == 2
    assert subject.windows == 7
    assert subject.warm_up.settled
    assert subject.warm_up.runs == 35


def test_noise_that_only_slows_does_not_prolong_it():
    subject = Falling([2, 3, 2, 9])
    warm_up(subject, 60)
    assert subject.windows == 4


def test_a_subject_that_keeps_getting_faster_is_given_up(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("normdeploy.profiling.schedule.time.monotonic", lambda: float(next(clock)))
    subject = Falling(100 * 0.8**index for index in range(100))
    warm_up(subject, 5)
    assert not subject.warm_up.settled
    assert subject.windows < 10


def test_a_failure_ends_it():
    subject = Falling([1])
    subject.alive = False
    assert math.isnan(warm_up(subject, 5))


@pytest.mark.parametrize(
    ("duration", "slowest", "sessions", "rounds"),
    [(5, 0.1, 1, MOST_ROUNDS), (5, 1000, 1, LEAST_ROUNDS), (5, 20, 1, 50), (5, 20, 6, 9), (5, 1000, 6, 4)],
)
def test_rounds(duration, slowest, sessions, rounds):
    assert number_of_rounds(duration, slowest, sessions) == rounds


def test_every_subject_has_one_turn_per_round_and_the_order_is_reversed():
    subjects = ["a", "b", "c"]
    found = list(orders(subjects, 20, np.random.default_rng(0)))
    assert all(sorted(order) == subjects for order in found)
    assert all(found[index + 1] == found[index][::-1] for index in range(0, 20, 2))
    assert len({tuple(order) for order in found}) > 2
