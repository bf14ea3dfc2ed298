"""Was the machine quiet enough to believe the numbers? If not: why, and what to do, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from normdeploy.profiling.statistics import Summary
from normdeploy.profiling.timed_model import Measured, WarmUp

MEAN_KNOWN_TO = 0.05
"""Half of the mean's interval, as a share of the mean. Two profiles that know theirs to 5 % show differences
from 8 % on (`comparison.compare_percentile`)."""

DRIFT = 0.10
"""Between the medians of the first and the last third, as a share. Latencies that change steadily change by
half as much again over the whole measurement, and their mean is off from those at the end by 7.5 %."""

SPREAD = 0.15
"""Between the quartiles of the rounds' medians, as a share of their median. Normal ones that spread by this
have a standard deviation of 0.11, and `LEAST_ROUNDS` of them know their mean to MEAN_KNOWN_TO."""

_LEAST_RUNS = 10
"""Student's quantile for ten values is 2.26, 15 % above the normal one. With fewer, an interval says more of
the number of runs than of the machine."""

_IDLE = 1
"""NVML's bit for clocks that are low because nothing runs."""


def disturbance(
    summary: Summary,
    measured: Measured,
    warm_up: WarmUp | None,
    duration: float,
    environment: Mapping[str, Any],
) -> str:
    """What makes a measurement unstable, and what to do about it; empty for a stable one.

    Args:
        summary: of all latencies.
        measured: them by round.
        warm_up: what was run before; None if nothing was.
        duration: seconds that were asked for.
        environment: the machine's state (`machine.machine`).
    """
    found = _found(summary, measured, warm_up)
    if not found:
        return ""
    return f"{found}: {_advice(duration, environment)}"


def _found(summary: Summary, measured: Measured, warm_up: WarmUp | None) -> str:
    if summary.runs < _LEAST_RUNS:
        return f"only {summary.runs} runs"
    if warm_up is not None and not warm_up.settled:
        return f"still getting faster after {warm_up.seconds:.1f} s of warm-up"
    half = (summary.mean_ci95[1] - summary.mean_ci95[0]) / 2 / summary.mean
    if half > MEAN_KNOWN_TO:
        known = f"to ±{half:.0%} only" if math.isfinite(half) else "from one block of runs only"
        return f"the mean is known {known}"
    medians = np.array([np.median(latencies) for latencies in measured.latency])
    third = medians.size // 3
    if third:
        drift = float(np.median(medians[-third:]) / np.median(medians[:third])) - 1
        if abs(drift) > DRIFT:
            return f"latency drifted by {drift:+.0%} during the measurement"
    low, middle, high = np.percentile(medians, (25, 50, 75))
    if (high - low) / middle > SPREAD:
        return f"the rounds' medians spread by {(high - low) / middle:.0%}"
    return ""


def _advice(duration: float, environment: Mapping[str, Any]) -> str:
    steps = []
    load, cpus = environment["load_average"][0], environment["usable_cpus"]
    if load > cpus / 2 + 1:
        steps.append(f"stop other work (the load is {load:.1f} on {cpus} CPUs)")
    governor = environment["governor"]
    if governor not in (None, "performance"):
        steps.append(f"set the CPU governor to performance (it is {governor})")
    if any((gpu["throttling"] or 0) & ~_IDLE for gpu in environment["gpus"]):
        steps.append("let the GPU cool down or lock its clocks (it is throttling)")
    steps.append(f"measure longer (--duration {max(2 * duration, 10):g})")
    return ", or ".join(steps)
