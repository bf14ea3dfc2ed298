"""When what is run: warm-up until latencies stop falling, then rounds in which every model has its turn.

Warm-up: windows of `WINDOW_SECONDS` each. It is over when `CALM_WINDOWS` in a row have brought no median
more than `GAIN` below the lowest one before them. Caches, allocators and clock rates only get faster during
warm-up, so that other processes' noise, which only slows, doesn't prolong it.

Rounds: in each, every model runs for the same share of its time. The order is drawn at random, and the
next round has it reversed (ABBA), so that a steady drift of the machine hits all alike.

Sessions: where models are compared, the rounds are dealt out to `SESSIONS`, each with fresh processes and a
warm-up of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from normdeploy.profiling.timed_model import TimedModel, WarmUp

WINDOW_SECONDS = 0.1
"""Ten times what may disturb runs for a moment, a scheduler's slice or a step of the clock rate, so that the
median of a window does not feel it."""

CALM_WINDOWS = 3
GAIN = 0.05
"""Latencies that fall by a time constant of up to 0.3 s, as many windows, are within 6 % of their end after
warm-up, and the mean of 5 s that follow within 1 %. Slower ones (heat, clock rates) are named by `stability`
where they change the mean (tests/profiling/test_schedule.py)."""

LEAST_ROUNDS = 20
"""For the quartiles of the rounds' medians, and an interval of their mean that is only 7 % wider than with
many more: Student's quantile for 20 values is 2.09, the normal one 1.96."""

MOST_ROUNDS = 100
"""In the default time of 5 s these are turns of 50 ms; shorter ones would be spent on warming the caches."""

SESSIONS = 6
"""Processes of the same model differ by 1 to 4 %. If by 2 %, these are the fewest pairs of them whose 99 %
interval leaves out 1 for models that differ by 5 %: t(5) · √2 · 2 % / √6 = 4.7 %, and 5.8 % with five."""

_RUNS_PER_ROUND = 5
"""For the slowest model: the median of a turn is then not moved by two disturbed runs."""

_LEAST_LIMIT_SECONDS = 1.0
"""Ten windows; a warm-up must not fail because little time is asked for."""


def warm_up(timed: TimedModel, limit: float, clock: Callable[[], float] = time.monotonic) -> float:
    """Run a model until it stops getting faster.

    Args:
        timed: an open one.
        limit: seconds after which to give up (one window at least is run).
        clock: gives the time in seconds.

    Returns:
        The median latency of the last window in milliseconds; NaN after a failure.
    """
    began, runs, calm = clock(), 0, 0
    fastest = median = math.inf
    while calm < CALM_WINDOWS:
        latencies = timed.run_for(WINDOW_SECONDS)
        if not timed.alive:
            return math.nan
        runs += latencies.size
        median = float(np.median(latencies))
        calm = 0 if median < fastest * (1 - GAIN) else calm + 1
        fastest = min(fastest, median)
        if clock() - began > max(limit, _LEAST_LIMIT_SECONDS):
            break
    timed.warm_up = WarmUp(runs, clock() - began, settled=calm >= CALM_WINDOWS)
    return median


def number_of_rounds(duration: float, slowest_ms: float, sessions: int) -> int:
    """How many turns each model gets in a session. The slowest has a few runs in each turn.

    Args:
        duration: seconds for each model, all sessions together.
        slowest_ms: median latency of the slowest model.
        sessions: how many.
    """
    wanted = duration * 1000 / (_RUNS_PER_ROUND * max(slowest_ms, 1e-6))
    return math.ceil(min(max(wanted, LEAST_ROUNDS), MOST_ROUNDS) / sessions)


def orders(
    timed_models: Sequence[TimedModel], rounds: int, rng: np.random.Generator
) -> Iterator[list[TimedModel]]:
    """The order of each round.

    Args:
        timed_models: those that have a turn in each.
        rounds: how many.
        rng: draws every other order; those between are the reverse.
    """
    order = list(timed_models)
    for index in range(rounds):
        if index % 2:
            order.reverse()
        else:
            order = [timed_models[place] for place in rng.permutation(len(timed_models))]
        yield list(order)
