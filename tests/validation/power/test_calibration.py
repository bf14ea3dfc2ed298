"""The sizes that --power states, against planted errors: benchmarks/power_calibration.py in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.planted_errors import Calibrated
from tests.validation.networks import residual_network
from tests.validation.random_models import random_model

DIGITS = Path(__file__).parents[3] / "models" / "digits"
TRIES = 6
KINDS = ("convolutions", "batch_statistics", "across_the_batch", "sequences", "attention")


@pytest.fixture(scope="module")
def networks() -> list[Calibrated]:
    digits = np.load(DIGITS / "heldout.npz")
    (images,) = (digits[name] for name in digits.files if name != "labels")
    model = onnx.load(DIGITS / "digits.onnx")
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 6)).astype(np.float32)
    drawn = [random_model(seed) for seed in range(11, 20)]
    return [
        Calibrated(model, [{model.graph.input[0].name: images[:4]}]),
        Calibrated(residual_network(), [{"x": x}]),
        *(Calibrated(each.model, each.samples) for each in drawn if each.kind in KINDS),
    ]


def test_errors_of_twice_the_size_are_found_and_of_a_tenth_are_not(networks):
    tries = twice = tenth = 0
    for network in networks:
        assert network.is_right()
        for layer, size in network.stated.items():
            for attempt in range(TRIES):
                tries += 1
                twice += network.is_caught(layer, min(1.0, 2 * size), attempt)
                tenth += network.is_caught(layer, size / 10, attempt)
    assert tries > 100
    assert twice >= 0.95 * tries
    assert tenth < 0.2 * tries


def test_an_error_of_the_wrong_size_would_be_noticed(networks):
    """Sizes stated ten times too small or too large fail the test above."""
    network = networks[0]
    found = [
        [network.is_caught(layer, factor * size, 0) for layer, size in network.stated.items()]
        for factor in (0.2, 1.0)
    ]
    assert sum(found[0]) < 0.95 * len(found[0])
    assert sum(found[1]) >= 0.2 * len(found[1])
