"""Verdicts: what noise alone gives, and what a real difference gives."""

import math

import numpy as np
import pytest

from normdeploy.profiling.comparison import (
    LatencyComparison,
    compare_percentile,
    compare_percentiles,
    compare_sessions,
)

SESSIONS, ROUNDS, RUNS = 6, 10, 20


def series(rng, factor, drift):
    """Latencies of a model that takes 1 ms · factor on a machine that is slowed by `drift` in each round.

    Each process is faster or slower than others of its model by a percent or two.
    """
    return [
        [
            factor * luck * drift[session, turn] * np.exp(0.05 * rng.standard_normal(RUNS))
            for turn in range(ROUNDS)
        ]
        for session, luck in enumerate(np.exp(0.02 * rng.standard_normal(SESSIONS)))
    ]


def noise(rng):
    """Each round slower or faster than the last by a few percent, and some slowed by other processes."""
    steps = 0.03 * rng.standard_normal(SESSIONS * ROUNDS)
    return np.exp(np.cumsum(steps) + (rng.random(steps.size) < 0.1)).reshape(SESSIONS, ROUNDS)


def test_equal_models_under_drift_show_no_difference():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        drift = noise(rng)
        alarms += compare_sessions(series(rng, 1, drift), series(rng, 1, drift)).verdict != "no difference"
    assert alarms <= 3


@pytest.mark.parametrize(("factor", "verdict"), [(0.8, "faster"), (1.25, "slower")])
def test_a_difference_is_found_under_drift(factor, verdict):
    rng = np.random.default_rng(1)
    for _ in range(20):
        drift = noise(rng)
        found = compare_sessions(series(rng, 1, drift), series(rng, factor, drift))
        assert found.verdict == verdict
        assert found.ratio == pytest.approx(factor, rel=0.05)
        assert found.interval[0] < found.ratio < found.interval[1]


def test_a_disturbed_turn_moves_little():
    rng = np.random.default_rng(2)
    quiet = np.ones((SESSIONS, ROUNDS))
    before, now = series(rng, 1, quiet), series(rng, 1, quiet)
    now[3][7] = now[3][7] * 50
    assert compare_sessions(before, now).verdict == "no difference"


@pytest.mark.parametrize(
    ("ratio", "interval", "verdict"),
    [
        (1.10, (1.05, 1.15), "slower"),
        (0.90, (0.85, 0.95), "faster"),
        (1.10, (0.99, 1.21), "no difference"),
        (1.015, (1.01, 1.02), "no difference"),  # surely above 1, but by less than two processes may differ
        (3.0, (0.0, math.inf), "no difference"),
    ],
)
def test_verdicts(ratio, interval, verdict):
    assert LatencyComparison("p50", 1.0, ratio, ratio, interval).verdict == verdict


def test_one_session_decides_nothing():
    found = compare_sessions([[np.ones(5)] * 9], [[np.full(5, 3.0)] * 9])
    assert (found.ratio, found.verdict) == (pytest.approx(3), "no difference")


def test_only_a_slowdown_beyond_the_limit_is_a_regression():
    slower = LatencyComparison("p50", 1.0, 1.1, 1.1, (1.05, 1.15))
    assert slower.regressed(5)
    assert not slower.regressed(15)
    assert not LatencyComparison("p50", 1.0, 0.5, 0.5, (0.4, 0.6)).regressed(0)
    assert not LatencyComparison("p50", 1.0, 1.3, 1.3, (0.9, 1.9)).regressed(5)


def test_intervals_of_independent_values_are_combined():
    found = compare_percentile("p50", 2.0, (1.9, 2.1), 3.0, (2.8, 3.3))
    assert found.ratio == 1.5
    assert 2.8 / 2.1 < found.interval[0] < 1.5 < found.interval[1] < 3.3 / 1.9
    assert found.interval[0] == pytest.approx(
        1.5 * math.exp(-math.hypot(math.log(3 / 2.8), math.log(2.1 / 2)))
    )


def test_a_bound_that_is_not_known_decides_nothing():
    found = compare_percentile("p99", 1.0, (0.9, math.inf), 5.0, (4.0, 6.0))
    assert found.verdict == "no difference"
    assert found.account == "no difference shown: too few runs to tell"
    assert found.to_json()["ratio_ci99"][0] is None


def test_each_common_percentile_is_compared():
    one = {"p50": (1.0, (0.9, 1.1)), "p90": (1.0, (0.9, 1.1))}
    assert [found.name for found in compare_percentiles(one, {"p50": one["p50"]})] == ["p50"]


@pytest.mark.parametrize(
    ("interval", "account"),
    [
        ((2.0, math.inf), "slower"),
        ((0.0, 0.5), "faster"),
        ((0.5, math.inf), "no difference shown: too few runs to tell"),
        ((0.0, 1.5), "no difference shown: too few runs to tell"),
        ((0.5, 1.5), "no difference"),
    ],
)
def test_too_few_runs_are_a_reason_where_nothing_is_decided(interval, account):
    ratio = 0.3 if account == "faster" else 3.0
    assert LatencyComparison("p99", 1.0, ratio, ratio, interval).account == account
