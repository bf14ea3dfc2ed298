"""Whether a measurement is to be believed, on series that are made up."""

import math

import numpy as np
import pytest
from scipy import stats

from normdeploy.profiling.comparison import compare_percentile
from normdeploy.profiling.schedule import LEAST_ROUNDS
from normdeploy.profiling.stability import _LEAST_RUNS, DRIFT, MEAN_KNOWN_TO, SPREAD, disturbance
from normdeploy.profiling.statistics import summarize
from normdeploy.profiling.timed_model import Measured, WarmUp

QUIET = {"load_average": [0.1, 0, 0], "usable_cpus": 8, "governor": "performance", "gpus": []}
SETTLED = WarmUp(30, 0.3, True)


def judge(latency, environment=QUIET, warm_up=SETTLED):
    measured = Measured(latency=[np.asarray(times, np.float64) for times in latency])
    return disturbance(summarize(np.concatenate(measured.latency)), measured, warm_up, 5.0, environment)


def steady(rng, rounds=30):
    return [1 + 0.01 * rng.random(20) for _ in range(rounds)]


def test_a_quiet_machine_is_stable():
    assert judge(steady(np.random.default_rng(0))) == ""


def test_outliers_alone_are_no_disturbance():
    latency = steady(np.random.default_rng(0))
    latency[3][5] = 5.0
    assert judge(latency) == ""


def test_drift_is_named():
    rng = np.random.default_rng(0)
    latency = [times * (1.12 if index > 20 else 1) for index, times in enumerate(steady(rng, 40))]
    assert judge(latency).startswith("latency drifted by +12% during the measurement: measure longer")


def test_a_mean_that_is_hardly_known_is_named_with_what_to_do():
    rng = np.random.default_rng(0)
    latency = [rng.lognormal(0, 1) + 0.01 * rng.random(20) for _ in range(30)]
    busy = {**QUIET, "load_average": [9.0, 0, 0], "governor": "powersave"}
    found = judge(latency, busy)
    assert found.startswith("the mean is known to ±")
    assert "stop other work (the load is 9.0 on 8 CPUs)" in found
    assert "set the CPU governor to performance (it is powersave)" in found
    assert "measure longer (--duration 10)" in found


def test_rounds_that_differ_are_named():
    rng = np.random.default_rng(0)
    latency = [times * (1.3 if index % 2 else 1) for index, times in enumerate(steady(rng, 60))]
    assert "the rounds' medians spread by 26%" in judge(latency)


def test_a_throttling_gpu_is_named():
    hot = {**QUIET, "gpus": [{"throttling": 32}]}
    assert "let the GPU cool down" in judge([[1.0] * 3], hot)
    assert "GPU" not in judge([[1.0] * 3], {**QUIET, "gpus": [{"throttling": 1}]})


def test_few_runs_and_an_endless_warm_up_are_named():
    assert judge([[1.0] * 3]).startswith("only 3 runs")
    cold = WarmUp(10, 5.0, False)
    assert "still getting faster after 5.0 s" in judge(steady(np.random.default_rng(0)), warm_up=cold)


def test_means_that_are_known_well_enough_show_a_difference_of_eight_percent():
    """The numbers beside `MEAN_KNOWN_TO`."""

    def verdict(ratio):
        known = (1 - MEAN_KNOWN_TO, 1 + MEAN_KNOWN_TO)
        return compare_percentile("mean", 1.0, known, ratio, (ratio * known[0], ratio * known[1])).verdict

    assert verdict(1.08) == "slower"
    assert verdict(1.07) == "no difference"


def test_a_steady_change_within_the_limit_moves_the_mean_by_three_quarters_of_it():
    """The numbers beside `DRIFT`: the thirds' medians are two thirds of the whole apart."""
    latency = np.linspace(1 + 1.5 * DRIFT, 1, 3001)
    thirds = np.median(latency[:1000]) - np.median(latency[-1000:])
    assert thirds == pytest.approx(DRIFT, rel=0.01)
    assert latency.mean() - latency[-1] == pytest.approx(0.075, rel=0.01)


def test_rounds_that_spread_within_the_limit_know_their_mean():
    """The numbers beside `SPREAD`."""
    deviation = SPREAD / (2 * stats.norm.ppf(0.75))
    assert deviation == pytest.approx(0.11, abs=0.002)
    half = stats.t.ppf(0.975, LEAST_ROUNDS - 1) * deviation / math.sqrt(LEAST_ROUNDS)
    assert half == pytest.approx(MEAN_KNOWN_TO, abs=0.003)


def test_an_interval_of_the_fewest_runs_is_little_wider_than_with_many():
    assert stats.t.ppf(0.975, _LEAST_RUNS - 1) / stats.norm.ppf(0.975) == pytest.approx(1.15, abs=0.01)
