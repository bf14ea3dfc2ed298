"""When what is run: warm-up until latencies stop falling, then rounds in which every subject has its turn.

Warm-up: windows of `WINDOW_SECONDS` each. It is over when `CALM_WINDOWS` in a row have brought no median
more than `GAIN` below the lowest one before them. Caches, allocators and clock rates only get faster during
warm-up, so that other processes' noise, which only slows, doesn't prolong it.

Rounds: in each, every subject runs for the same share of its time. The order is drawn at random, and the
next round has it reversed (ABBA), so that a steady drift of the machine hits all alike.

Sessions: where models are compared, the rounds are dealt out to `SESSIONS`, each with fresh processes and a
warm-up of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from normdeploy.profiling.subject import Subject, WarmUp

WINDOW_SECONDS = 0.1
CALM_WINDOWS = 3
GAIN = 0.05
LEAST_ROUNDS = 20
MOST_ROUNDS = 100
SESSIONS = 6
_RUNS_PER_ROUND = 5
_LEAST_LIMIT_SECONDS = 1.0


def warm_up(subject: Subject, limit: float) -> float:
    """Run a subject until it stops getting faster, and give its median latency in milliseconds.

    Args:
        subject: an open one.
        limit: seconds after which to give up (one window at least is run).
    """
    began, runs, calm = time.monotonic(), 0, 0
    fastest = median = math.inf
    while calm < CALM_WINDOWS:
        latencies = subject.run_for(WINDOW_SECONDS)
        if not subject.alive:
            return math.nan
        runs += latencies.size
        median = float(np.median(latencies))
        calm = 0 if median < fastest * (1 - GAIN) else calm + 1
        fastest = min(fastest, median)
        if time.monotonic() - began > max(limit, _LEAST_LIMIT_SECONDS):
            break
    settled = calm >= CALM_WINDOWS
    subject.warm_up = WarmUp(runs, time.monotonic() - began, settled)
    return median


def number_of_rounds(duration: float, slowest_ms: float, sessions: int) -> int:
    """How many turns each subject gets in a session, with `duration` seconds for all sessions together.

    The slowest has a few runs in each turn.
    """
    wanted = duration * 1000 / (_RUNS_PER_ROUND * max(slowest_ms, 1e-6))
    return math.ceil(min(max(wanted, LEAST_ROUNDS), MOST_ROUNDS) / sessions)


def orders(subjects: Sequence[Subject], rounds: int, rng: np.random.Generator) -> Iterator[list[Subject]]:
    """The order of each round."""
    order = list(subjects)
    for index in range(rounds):
        if index % 2:
            order.reverse()
        else:
            order = [subjects[place] for place in rng.permutation(len(subjects))]
        yield list(order)
