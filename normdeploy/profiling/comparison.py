"""Is one profile faster than another? Ratios with intervals, and a verdict that noise alone rarely gives.

A verdict other than "no difference" needs two things: the ratio's interval leaves out 1, and the ratio is
off by more than `RESOLUTION`, less than which nobody should act on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from normdeploy.profiling.statistics import COMPARED, Floats, Interval, independent_interval

RESOLUTION = 0.02
"""Ratios nearer to 1 are no difference: `profile` and a plain loop over a runtime's `run` may differ by 1.3 %
(the 99 % interval in benchmarks/results/profile_plain_loop.json)."""

Verdict = Literal["faster", "slower", "no difference"]


@dataclass(frozen=True)
class LatencyComparison:
    """One quantity now and before.

    Args:
        name: what is compared, "p50" for example.
        before, now: in milliseconds.
        ratio: now / before: below 1 is faster.
        interval: where the ratio lies with 99 % confidence.
    """

    name: str
    before: float
    now: float
    ratio: float
    interval: Interval

    @property
    def verdict(self) -> Verdict:
        """What the numbers allow to say."""
        low, high = self.interval
        if low <= 1 <= high or abs(self.ratio - 1) <= RESOLUTION:
            return "no difference"
        return "faster" if self.ratio < 1 else "slower"

    @property
    def account(self) -> str:
        """The verdict in words, with the reason where nothing could be decided."""
        low, high = self.interval
        undecided = self.verdict == "no difference" and (low <= 0 or not math.isfinite(high))
        return f"{self.verdict} shown: too few runs to tell" if undecided else self.verdict

    def regressed(self, percent: float) -> bool:
        """Whether it is slower by more than this.

        Args:
            percent: how much slower it may be.
        """
        return self.verdict == "slower" and self.ratio > 1 + percent / 100

    def to_json(self) -> dict[str, Any]:
        """Its fields and the verdict; null for a bound that is not known."""
        low, high = self.interval
        return {
            "name": self.name,
            "before_ms": self.before,
            "now_ms": self.now,
            "ratio": self.ratio,
            "ratio_ci99": [low if low > 0 else None, high if math.isfinite(high) else None],
            "verdict": self.verdict,
        }


def compare_sessions(
    before: Sequence[Sequence[Floats]], now: Sequence[Sequence[Floats]]
) -> LatencyComparison:
    """Compare two series that were taken in turn, in several sessions with fresh processes each.

    Whatever slows a round slows both, and so each round gives one ratio of medians. The median of a
    session's ratios is not moved by a few disturbed rounds. Sessions are independent of each other, which
    rounds are not: memory lies where it lies, and the scheduler favours whom it favours, until a process
    ends (Kalibera & Jones 2013). The result is the sessions' geometric mean, with Student's interval of their
    logarithms.

    Args:
        before, now: session -> round -> latencies in milliseconds.
    """
    logarithms = np.array(
        [
            np.median([np.log(np.median(b) / np.median(a)) for a, b in zip(one, other, strict=True)])
            for one, other in zip(before, now, strict=True)
        ]
    )
    low, high = independent_interval(logarithms, COMPARED)
    return LatencyComparison(
        "p50",
        float(np.median(np.concatenate([latencies for session in before for latencies in session]))),
        float(np.median(np.concatenate([latencies for session in now for latencies in session]))),
        math.exp(float(logarithms.mean())),
        (math.exp(low), _exp(high)),
    )


def compare_percentile(
    name: str, before: float, before_interval: Interval, now: float, now_interval: Interval
) -> LatencyComparison:
    """Compare two values that were measured independently of each other, each with its interval.

    The interval of log(now / before) follows from the two by the method of variance estimates recovery
    (Zou & Donner 2008), which keeps their asymmetry.

    Args:
        name: what is compared, "p50" for example.
        before, now: the values.
        before_interval, now_interval: where each of them lies.
    """
    ratio = now / before
    low = math.hypot(_log(now, now_interval[0]), _log(before_interval[1], before))
    high = math.hypot(_log(now_interval[1], now), _log(before, before_interval[0]))
    return LatencyComparison(name, before, now, ratio, (ratio * math.exp(-low), ratio * _exp(high)))


def compare_percentiles(
    before: Mapping[str, tuple[float, Interval]], now: Mapping[str, tuple[float, Interval]]
) -> list[LatencyComparison]:
    """Compare each percentile that both have.

    Args:
        before, now: name -> (value, interval).
    """
    return [compare_percentile(name, *before[name], *now[name]) for name in now if name in before]


def _log(high: float, low: float) -> float:
    """log(high / low); infinite where either bound is not known."""
    return math.log(high / low) if low > 0 and math.isfinite(high) else math.inf


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf
