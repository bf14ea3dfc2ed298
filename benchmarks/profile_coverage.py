"""How often does a 95 % interval of the mean hold the true mean, on correlated series?

    python benchmarks/profile_coverage.py [--draws N] [--runs N] [--json FILE]

Compared on autoregressive series x[t] = φ · x[t − 1] + noise: σ/√n as if the runs were independent; the
percentile interval of the stationary bootstrap with the optimal block (arch); and the interval that `profile`
gives, which must hold between 93 and 97 % of the time.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from scipy import signal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.machine import environment
from normdeploy.profiling.statistics import Floats, Interval, mean_interval

CORRELATIONS = (0.0, 0.5, 0.8, -0.4)
_RESAMPLES = 300


def main() -> int:
    parser = argparse.ArgumentParser(description="coverage of intervals of the mean")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--bootstrap-draws", type=int, default=200, help="of the slow one (default 200)")
    parser.add_argument("--runs", type=int, default=1000, help="length of a series (default 1000)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    methods: dict[str, tuple[Callable[[Floats], Interval], int]] = {
        "independent": (independent, options.draws),
        "bootstrap": (bootstrap, options.bootstrap_draws),
        "profile": (mean_interval, options.draws),
    }
    print(f"share of {options.draws} series of {options.runs} runs whose 95 % interval holds the true mean")
    print(f"  {'φ':>5}  " + "".join(f"{name:>12}" for name in methods))
    found: dict[str, dict[str, float]] = {}
    for correlation in CORRELATIONS:
        row = {
            name: coverage(interval, correlation, options.runs, draws)
            for name, (interval, draws) in methods.items()
        }
        found[str(correlation)] = row
        print(f"  {correlation:5.1f}  " + "".join(f"{share:12.1%}" for share in row.values()), flush=True)
    machine = environment("arch", "numpy")
    print("  " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"coverage": found, "environment": machine}, indent=2) + "\n")
    return 0 if all(0.93 <= row["profile"] <= 0.97 for row in found.values()) else 1


def coverage(interval: Callable[[Floats], Interval], correlation: float, runs: int, draws: int) -> float:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(draws):
        noise = rng.standard_normal(runs + 200)
        low, high = interval(signal.lfilter([1], [1, -correlation], noise)[200:])
        held += low <= 0 <= high
    return held / draws


def independent(series: Floats) -> Interval:
    mean, half = float(series.mean()), 1.96 * float(series.std(ddof=1)) / math.sqrt(series.size)
    return mean - half, mean + half


def bootstrap(series: Floats) -> Interval:
    length = float(optimal_block_length(series)["stationary"].iloc[0])
    resampled = StationaryBootstrap(max(length, 1.0), series, seed=0)
    low, high = resampled.conf_int(np.mean, reps=_RESAMPLES, method="percentile").ravel()
    return float(low), float(high)


if __name__ == "__main__":
    raise SystemExit(main())
