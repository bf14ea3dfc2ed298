"""The histogram and the sample of errors."""

import tracemalloc

import numpy as np
import pytest

from normdeploy.validation.distribution import EDGES, SAMPLE, Distribution


def test_errors_are_counted_by_size():
    found = Distribution()
    found.add(np.array([1.0, 2.0, 3.0, np.nan, 5.0]), np.array([1.0, 2.001, 3.001, 4.0, np.inf]))
    assert (found.elements, found.exact, found.counts.sum()) == (3, 1, 2)
    (bin_,) = np.flatnonzero(found.counts)
    assert EDGES[bin_] <= 1e-3 <= EDGES[bin_ + 1]


def test_errors_beyond_the_bins_are_not_forgotten():
    found = Distribution()
    found.add(np.array([1e30, 1e-30]), np.zeros(2))
    assert (found.counts[-1], found.counts[0]) == (1, 1)


def test_few_elements_are_all_kept():
    found = Distribution()
    for start in range(0, 30, 10):
        found.add(np.arange(start, start + 10.0) + 0.5, np.arange(start, start + 10.0))
    reference, actual = found.sample
    assert sorted(reference) == list(range(30))
    assert (actual == reference + 0.5).all()


def test_the_sample_is_fair():
    """A quarter of the elements, which come last and in large arrays, are a quarter of the sample."""
    found = Distribution()
    for _ in range(300):
        found.add(np.zeros(100), np.zeros(100))
    found.add(np.ones(10_000), np.ones(10_000))
    reference, _ = found.sample
    assert reference.size == SAMPLE
    assert reference.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / SAMPLE))


def test_the_same_data_gives_the_same_sample():
    values = np.random.default_rng(0).random(5000)
    first, second = Distribution(), Distribution()
    first.add(values, values)
    second.add(values, values)
    assert (first.sample[0] == second.sample[0]).all()


def test_memory_does_not_grow():
    found = Distribution()
    values = np.random.default_rng(0).random(10_000).astype(np.float32)
    found.add(values, values)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        found.add(values, values)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000
