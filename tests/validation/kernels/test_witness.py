"""What is said of the results of single nodes."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.validation.kernels.witness import Sighting, _sighting


def test_results_that_are_lost_or_vanish_are_counted():
    right = np.array([1.0, 2.0, 0.0, np.inf, 2.0])
    found = np.array([np.inf, 0.0, 0.0, np.inf, 2.5])
    seen = _sighting(found, right, 2**-11)
    assert (seen.elements, seen.lost, seen.vanished) == (5, 1, 1)
    size = np.sqrt((2**2 + 0 + 2**2) / 3)  # of what is finite in both
    assert seen.error == pytest.approx(2.0 / size)
    assert seen.roundings == pytest.approx(2.0 / size * 2**11)
    assert str(seen) == "1 of 5 results are not finite"


def test_the_worst_of_batches_counts():
    seen = Sighting(10, 0, 2, 0.5, 3.0) + Sighting(10, 0, 1, 0.25, 7.0)
    assert seen == Sighting(20, 0, 3, 0.5, 7.0)
    assert str(seen) == "3 of 20 results become 0"
    assert seen.badness > Sighting(20, 0, 2, 9.0, 9.0).badness


def test_a_small_error_is_told_by_its_size():
    assert str(Sighting(10, 0, 0, 0.0123, 25.0)) == "results are off by up to 0.012 of their root mean square"
