"""Intervals hold what they promise, on series whose true mean and percentiles are known."""

import math
import sys

import numpy as np
import pytest
from scipy import signal, stats

from normdeploy.errors import MissingDependencyError
from normdeploy.profiling.statistics import (
    independent_interval,
    mean_interval,
    percentile_interval,
    summarize,
)

DRAWS = 1000
COVERED = (0.93, 0.97)


def autoregressive(rng: np.random.Generator, correlation: float, runs: int) -> np.ndarray:
    """x[t] = correlation · x[t − 1] + noise around a mean of 0, after it has forgotten its start."""
    noise = rng.standard_normal(runs + 200)
    return signal.lfilter([1], [1, -correlation], noise)[200:]


@pytest.mark.parametrize(
    ("correlation", "runs"), [(0.0, 100), (0.0, 1000), (0.5, 1000), (0.8, 1000), (-0.4, 500)]
)
def test_the_mean_s_interval_covers_it(correlation, runs):
    rng = np.random.default_rng(2024)
    covered = 0
    for _ in range(DRAWS):
        low, high = mean_interval(autoregressive(rng, correlation, runs))
        covered += low <= 0 <= high
    assert COVERED[0] <= covered / DRAWS <= COVERED[1], covered / DRAWS


def test_the_mean_s_interval_covers_it_for_skewed_series():
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(DRAWS):
        noise = rng.exponential(size=1200) - 1
        low, high = mean_interval(signal.lfilter([1], [1, -0.6], noise)[200:])
        covered += low <= 0 <= high
    assert COVERED[0] <= covered / DRAWS <= COVERED[1], covered / DRAWS


@pytest.mark.parametrize(("p", "correlation"), [(50, 0.0), (50, 0.7), (95, 0.0), (95, 0.7)])
def test_a_percentile_s_interval_covers_it(p, correlation):
    rng = np.random.default_rng(3)
    deviation = 1 / math.sqrt(1 - correlation**2)
    true = stats.norm.ppf(p / 100) * deviation
    covered = 0
    draws = 300
    for _ in range(draws):
        low, high = percentile_interval(autoregressive(rng, correlation, 1000), p)
        covered += low <= true <= high
    assert covered / draws >= 0.97, covered / draws


def test_a_known_series():
    summary = summarize(np.arange(1.0, 102.0))
    assert summary.runs == 101
    assert summary.mean == pytest.approx(51)
    assert (summary.minimum, summary.maximum) == (1, 101)
    assert summary.percentiles == {50: 51, 90: 91, 95: 96, 99: 100}
    assert summary.cv == pytest.approx(np.arange(1.0, 102.0).std() / 51)


def test_outliers_are_kept():
    summary = summarize([1.0] * 99 + [1000.0])
    assert summary.maximum == 1000
    assert summary.mean == pytest.approx(10.99)


def test_a_constant_series_is_known_exactly():
    assert summarize([2.5] * 50).mean_ci95 == (2.5, 2.5)


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_few_runs_tell_little(runs):
    document = summarize(np.linspace(1, 2, runs)).to_json()
    assert document["percentiles_ci99"]["p99"][1] is None
    if runs == 1:
        assert document["mean_ci95"] == [None, None]


def test_a_long_series_is_summarized_as_a_short_one():
    rng = np.random.default_rng(0)
    series = rng.exponential(size=100_000)
    low, high = mean_interval(series)
    assert low < 1 < high
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(series.size), rel=0.2)


def test_the_interval_of_independent_values_is_students():
    values = np.array([1.0, 2.0, 4.0, 5.0])
    low, high = independent_interval(values, 0.95)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert independent_interval(values[:1], 0.95) == (-math.inf, math.inf)


@pytest.mark.parametrize("package", ["arch", "scipy"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"{package} is not .*'normdeploy\[profile\]'"):
        summarize(np.random.default_rng(0).random(50))
