"""Numbers that describe a series of latencies, with intervals that hold although the series is correlated.

Consecutive latencies resemble each other (clock rates, other processes), so that n of them tell less than n
independent ones and σ/√n is too small an error. The interval of the mean is therefore made of the means of
blocks, long enough to be nearly independent of each other ("batch means")::

    mean ± t(k − 1) · s_k / √k        k blocks, s_k the standard deviation of their means

A block is twice as long as the optimal one of the circular block bootstrap (Politis & White 2004, corrected
by Patton, Politis & White 2009; computed by the package `arch`), and there are at least 8. The bootstrap's
own percentile interval with that length covers the mean of a correlated series too rarely, since it ignores
how uncertain its variance is and what blocks lose at their ends: 90 % of the time where it promises 95, for
1,000 runs of an autoregressive series with φ = 0.8 (benchmarks/profile_coverage.py; σ/√n: 47 %). Student's
quantile and the longer block make up for both: 95 %. Series much shorter than a hundred correlation times
stay too short for any method; `stability` says so where their rounds drift.

A percentile q_p has an interval by Woodruff's method (1952): the share of latencies at or below q_p has mean
p, its interval (p − h, p + h) is the one above, and the percentile's is (q at p − h, q at p + h).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.errors import MissingDependencyError

Floats = NDArray[np.float64]
Interval = tuple[float, float]

PERCENTILES = (50, 90, 95, 99)
COMPARED = 0.99
"""Confidence of intervals that decide whether two profiles differ: four percentiles are looked at at once."""

_BLOCKS = 8
"""The fewest blocks of a series."""

_LENGTHENED = 2
"""Length of a block over the optimal one. With these two the interval covers the mean 95 times in a hundred
(tests/profiling/test_statistics.py)."""

_CONDENSED = 8192
"""Longer series are first averaged in groups of equal length, to between this many values and twice as many,
since the time that the optimal length takes grows faster than the series."""


@dataclass(frozen=True)
class Summary:
    """A series of times in milliseconds, none left out.

    Args:
        runs: how many.
        mean, minimum, maximum: of all.
        mean_ci95: where the mean lies with 95 % confidence; infinite where there are too few runs to say.
        percentiles: p in percent -> value.
        percentiles_ci99: p in percent -> where it lies with 99 % confidence.
        cv: coefficient of variation, standard deviation / mean.
    """

    runs: int
    mean: float
    mean_ci95: Interval
    minimum: float
    maximum: float
    percentiles: Mapping[int, float]
    percentiles_ci99: Mapping[int, Interval]
    cv: float

    def to_json(self) -> dict[str, Any]:
        """As in the JSON of `profile`; null for a bound that is not known."""
        return {
            "mean": self.mean,
            "mean_ci95": _finite(self.mean_ci95),
            "min": self.minimum,
            **{f"p{p}": value for p, value in self.percentiles.items()},
            "max": self.maximum,
            "cv": self.cv,
            "percentiles_ci99": {f"p{p}": _finite(found) for p, found in self.percentiles_ci99.items()},
        }


def summarize(times: Sequence[float] | Floats) -> Summary:
    """Describe a series of times.

    Args:
        times: in milliseconds, one at least, in the order in which they were taken.

    Raises:
        MissingDependencyError: arch or scipy is not installed.
    """
    series = np.asarray(times, np.float64)
    mean = float(series.mean())
    return Summary(
        runs=series.size,
        mean=mean,
        mean_ci95=mean_interval(series),
        minimum=float(series.min()),
        maximum=float(series.max()),
        percentiles={p: float(np.percentile(series, p)) for p in PERCENTILES},
        percentiles_ci99={p: percentile_interval(series, p) for p in PERCENTILES},
        cv=float(series.std()) / mean,
    )


def mean_interval(series: Floats, confidence: float = 0.95) -> Interval:
    """Where the mean of the process behind a stationary series lies.

    Args:
        series: in the order in which it was taken.
        confidence: how often the interval holds it.

    Returns:
        Infinite bounds where the series makes fewer than two blocks.
    """
    half = _half_width(series, confidence)
    mean = float(series.mean())
    return mean - half, mean + half


def independent_interval(values: Floats, confidence: float) -> Interval:
    """Where the mean of the process behind independent values lies: mean ± t(n − 1) · s / √n.

    Args:
        values: in any order.
        confidence: how often the interval holds it.

    Returns:
        Infinite bounds for fewer than two values.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    mean = float(values.mean())
    if values.size < 2:
        return -math.inf, math.inf
    quantile = float(_scipy_stats().t.ppf((1 + confidence) / 2, values.size - 1))
    half = quantile * float(values.std(ddof=1)) / math.sqrt(values.size)
    return mean - half, mean + half


def percentile_interval(series: Floats, p: float, confidence: float = COMPARED) -> Interval:
    """Where a percentile of the process behind a stationary series lies.

    Args:
        series: in the order in which it was taken.
        p: which percentile, 0 to 100.
        confidence: how often the interval holds it.

    Returns:
        Lower and upper bound; one is infinite where the series is too short to have values beyond it.
    """
    below = (series <= np.percentile(series, p)).astype(np.float64)
    half = _half_width(below, confidence)
    # Never narrower than for independent values, of which a few equal indicators would know nothing.
    half = max(half, _normal_quantile(confidence) * math.sqrt(p / 100 * (1 - p / 100) / series.size))
    low, high = p / 100 - half, p / 100 + half
    return (
        float(np.quantile(series, low)) if low >= 0 else -math.inf,
        float(np.quantile(series, high)) if high <= 1 else math.inf,
    )


def _half_width(series: Floats, confidence: float) -> float:
    """Half of the interval of the mean by batch means."""
    series = _condensed(series)
    length = max(1, min(math.ceil(_LENGTHENED * _block_length(series)), series.size // _BLOCKS))
    blocks = series.size // length
    means = series[series.size - blocks * length :].reshape(blocks, length).mean(axis=1)
    low, high = independent_interval(means, confidence)
    return (high - low) / 2


def _normal_quantile(confidence: float) -> float:
    return float(_scipy_stats().norm.ppf((1 + confidence) / 2))


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingDependencyError("scipy", "profile") from error
    return stats


def _condensed(series: Floats) -> Floats:
    length = series.size // _CONDENSED
    if length < 2:
        return series
    condensed: Floats = series[series.size % length :].reshape(-1, length).mean(axis=1)
    return condensed


def _block_length(series: Floats) -> float:
    """The optimal block of the circular block bootstrap of the mean."""
    try:
        from arch.bootstrap import optimal_block_length
    except ImportError as error:
        raise MissingDependencyError("arch", "profile") from error

    if series.size < 2 * _BLOCKS or np.ptp(series) <= 1e-12 * abs(float(series[0])):
        return 1.0
    found = float(optimal_block_length(series)["circular"].iloc[0])
    return found if math.isfinite(found) else series.size / _BLOCKS


def _finite(interval: Interval) -> list[float | None]:
    return [bound if math.isfinite(bound) else None for bound in interval]
