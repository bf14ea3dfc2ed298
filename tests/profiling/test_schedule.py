"""When warm-up ends and what it leaves, and whose turn it is. No clock is read: time is what models say."""

import math

import numpy as np
import pytest
from scipy import stats

from normdeploy.profiling import schedule
from normdeploy.profiling.schedule import (
    CALM_WINDOWS,
    LEAST_ROUNDS,
    MOST_ROUNDS,
    SESSIONS,
    WINDOW_SECONDS,
    number_of_rounds,
    orders,
    warm_up,
)
from normdeploy.profiling.stability import DRIFT, disturbance
from normdeploy.profiling.statistics import summarize
from normdeploy.profiling.timed_model import Measured

QUIET = {"load_average": [0.1, 0, 0], "usable_cpus": 8, "governor": "performance", "gpus": []}


class Windows:
    """A model whose windows have these medians, the last one from then on."""

    alive = True
    warm_up = None

    def __init__(self, medians):
        self.medians, self.windows = list(medians), 0

    def run_for(self, seconds):
        median = self.medians[min(self.windows, len(self.medians) - 1)]
        self.windows += 1
        return np.full(5, float(median))

    def clock(self):
        return self.windows * WINDOW_SECONDS


class Settling:
    """A model whose latency is 5 ms · (1 + excess · exp(−t / constant)) at the time t in seconds."""

    alive = True
    warm_up = None

    def __init__(self, excess, constant):
        self.excess, self.constant, self.now = excess, constant, 0.0

    def run_for(self, seconds):
        latencies, end = [], self.now + seconds
        while self.now < end:
            latencies.append(5 * self.slowdown())
            self.now += latencies[-1] / 1000
        return np.array(latencies)

    def slowdown(self):
        return 1 + self.excess * math.exp(-self.now / self.constant)

    def clock(self):
        return self.now


def warmed_up(model, limit=60.0):
    median = warm_up(model, limit, model.clock)
    return median, model.warm_up


def test_warm_up_ends_when_latencies_have_stopped_falling():
    model = Windows([10, 5, 3, 2])
    median, found = warmed_up(model)
    assert median == 2
    assert model.windows == 4 + CALM_WINDOWS
    assert (found.settled, found.runs) == (True, 35)
    assert found.seconds == pytest.approx(0.7)


def test_noise_that_only_slows_does_not_prolong_it():
    model = Windows([2, 3, 2, 9])
    warmed_up(model)
    assert model.windows == 4


def test_a_model_that_keeps_getting_faster_is_given_up():
    model = Windows(100 * 0.8**index for index in range(100))
    _, found = warmed_up(model, limit=5)
    assert not found.settled
    assert found.seconds == pytest.approx(5, abs=2 * WINDOW_SECONDS)


def test_a_short_limit_still_leaves_time_for_ten_windows():
    model = Windows(100 * 0.8**index for index in range(100))
    _, found = warmed_up(model, limit=0.01)
    assert found.seconds == pytest.approx(1, abs=2 * WINDOW_SECONDS)


def test_a_failure_ends_it():
    model = Windows([1])
    model.alive = False
    assert math.isnan(warm_up(model, 5, model.clock))
    assert model.warm_up is None


EXCESSES = (0.2, 1.0, 5.0)


@pytest.mark.parametrize("excess", EXCESSES)
@pytest.mark.parametrize("constant", [0.01, 0.03, 0.1, 0.2, CALM_WINDOWS * WINDOW_SECONDS])
def test_a_quick_fall_is_over_after_warm_up(excess, constant):
    """The numbers beside `GAIN`."""
    model = Settling(excess, constant)
    warmed_up(model, limit=5)
    assert model.warm_up.settled
    assert model.slowdown() < 1.06
    assert model.run_for(5.0).mean() == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize("excess", EXCESSES)
@pytest.mark.parametrize("constant", [0.5, 1, 2, 3, 5, 10, 30, 100])
def test_a_slow_fall_is_named_where_it_changes_the_mean(excess, constant):
    """What warm-up takes for calm is judged again by `stability`: where that says nothing, the mean is within
    its limit for drift of the latencies in the last third.
    """
    model = Settling(excess, constant)
    warmed_up(model, limit=5)
    rng = np.random.default_rng(0)
    rounds = [model.run_for(0.05) * math.exp(0.01 * rng.standard_normal()) for _ in range(MOST_ROUNDS)]
    summary = summarize(np.concatenate(rounds))
    last = float(np.median(np.concatenate(rounds[-MOST_ROUNDS // 3 :])))
    if not disturbance(summary, Measured(latency=rounds), model.warm_up, 5.0, QUIET):
        assert summary.mean / last - 1 < DRIFT


@pytest.mark.parametrize(
    ("duration", "slowest", "sessions", "rounds"),
    [(5, 0.1, 1, MOST_ROUNDS), (5, 1000, 1, LEAST_ROUNDS), (5, 20, 1, 50), (5, 20, 6, 9), (5, 1000, 6, 4)],
)
def test_rounds(duration, slowest, sessions, rounds):
    assert number_of_rounds(duration, slowest, sessions) == rounds


def test_the_slowest_model_has_a_few_runs_in_each_turn():
    turn_ms = 5000 / number_of_rounds(5, 20, 1)
    assert turn_ms / 20 == schedule._RUNS_PER_ROUND


def test_the_fewest_rounds_know_their_mean_almost_as_well_as_many_would():
    assert stats.t.ppf(0.975, LEAST_ROUNDS - 1) / stats.norm.ppf(0.975) == pytest.approx(1.07, abs=0.005)


def test_the_sessions_are_the_fewest_that_tell_a_difference_of_five_percent():
    """Between processes of the same model that differ by 2 %."""

    def half_width(sessions):
        return stats.t.ppf(0.995, sessions - 1) * math.sqrt(2) * 0.02 / math.sqrt(sessions)

    assert half_width(SESSIONS) == pytest.approx(0.047, abs=0.001)
    assert half_width(SESSIONS - 1) == pytest.approx(0.058, abs=0.001)
    assert half_width(SESSIONS) < 0.05 < half_width(SESSIONS - 1)


def test_every_model_has_one_turn_per_round_and_the_order_is_reversed():
    models = ["a", "b", "c"]
    found = list(orders(models, 20, np.random.default_rng(0)))
    assert all(sorted(order) == models for order in found)
    assert all(found[index + 1] == found[index][::-1] for index in range(0, 20, 2))
    assert len({tuple(order) for order in found}) > 2
