"""What half precision would lose inside a normalization, on cases whose answer is known."""

import numpy as np

from normdeploy.lrn import LRN, lrn
from normdeploy.validation.half_precision import extents


def of_lrn(x, channels=5, size=5, **parameters):
    spec = LRN(size, **{"alpha": 1e-4, "beta": 0.75, "k": 2.0, **parameters}, convention="onnx")
    return extents.of_lrn(np.full((1, channels, 2, 2), float(x)), spec)


def test_300_overflows():
    found = of_lrn(300, channels=1)
    assert (found.max_abs, found.largest, found.overflow, found.elements) == (300, 90_000, 4, 4)


def test_100_in_5_channels_does_not():
    found = of_lrn(100)
    assert (found.largest, found.overflow, found.underflow) == (50_000, 0, 0)


def test_the_limit_is_the_largest_half():
    assert of_lrn(np.sqrt(65504), channels=1).overflow == 0
    assert of_lrn(np.sqrt(65505), channels=1).overflow == 4


def test_windows_at_the_border_hold_fewer_squares():
    """115² · 5 = 66125 only in the middle channel of five; its neighbours' windows hold 3 or 4."""
    found = of_lrn(115)
    assert (found.overflow, found.elements) == (4, 20)


def test_overflow_is_what_makes_an_output_zero():
    """The arithmetic in float16 itself, on both sides of the limit."""
    for value, channels in ((300.0, 1), (100.0, 5), (115.0, 5)):
        x = np.full((1, channels, 2, 2), value, np.float16)
        with np.errstate(over="ignore"):
            squares = np.zeros_like(x)
            for offset in range(-2, 3):
                for channel in range(max(0, -offset), min(channels, channels - offset)):
                    squares[:, channel] += x[:, channel + offset] ** 2
            y = x / (np.float16(2) + np.float16(1e-4 / 5) * squares) ** np.float16(0.75)
        assert np.count_nonzero(y == 0) == of_lrn(value, channels).overflow
        assert np.count_nonzero(lrn(x.astype(np.float64), LRN(5, 2e-5, 0.75, 2.0)) == 0) == 0


def test_within_a_channel_the_window_has_two_axes():
    spec = LRN(3, 1e-4, 0.75, 1.0, "within", "torch")
    assert extents.of_lrn(np.full((1, 1, 3, 3), 90.0), spec).overflow == 1  # 9 · 8100 in the middle only


def test_squares_that_vanish_matter_without_a_constant():
    assert of_lrn(1e-4, k=0.0).underflow == 20
    assert of_lrn(1e-4, k=2.0).underflow == 0
    assert of_lrn(0.0, k=0.0).underflow == 0  # 0 / 0 in every precision


def test_an_alpha_that_vanishes():
    """α/n = 2e-8 becomes 0: where α·sum counts, the layer no longer normalizes."""
    assert of_lrn(100, alpha=1e-7).underflow == 0  # 1e-3 beside k = 2 is lost in rounding anyway
    assert of_lrn(100, alpha=1e-7, k=1e-3).underflow == 20


def batch_norm(variance, scale=1.0, shift=0.0, mean=0.0, epsilon=1e-5, x=None):
    parameters = (np.array([1.0, value]) for value in (scale, shift, mean, variance))
    return extents.of_batch_norm(*parameters, epsilon, x=x)


def test_batch_norm_counts_channels():
    assert batch_norm(1.0) == extents.Extent(2, 0.0, 1.00001)
    assert batch_norm(1e5).overflow == 1
    assert batch_norm(1e-10, epsilon=1e-9).underflow == 1  # both vanish: division by 0
    assert batch_norm(1e-10, epsilon=1e-5).underflow == 0
    assert batch_norm(1e-6, scale=1e3, epsilon=0.0).overflow == 1  # a factor of 10⁶


def test_batch_norm_on_data():
    x = np.zeros((3, 2, 2))
    assert batch_norm(1.0, x=x).overflow == 0
    x[1, 1, 1] = -7e4
    assert batch_norm(1.0, x=x).overflow == 1
    x[1, 1, 1] = 60.0
    assert batch_norm(1e-4, scale=20.0, epsilon=0.0, x=x).overflow == 1  # 60 · 20 / 0.01


def test_groups():
    x = np.tile([100.0, -100.0], 8).reshape(1, 1, 16)
    assert extents.of_groups(x, [2], 1e-5, centred=True).overflow == 16
    assert extents.of_groups(x / 2, [2], 1e-5, centred=True).overflow == 0
    flat = np.full((1, 1, 16), 100.0)
    assert extents.of_groups(flat, [2], 1e-5, centred=True) == extents.Extent(16, 100.0, 0.0)
    assert extents.of_groups(flat, [2], 1e-12, centred=True).underflow == 16
    assert extents.of_groups(flat, [2], 1e-12, centred=False).overflow == 16


def test_what_several_layers_met_is_added_up():
    both = extents.Extent(4, 1.0, 3.0, 1, 0) + extents.Extent(2, 2.0, 1.0, 0, 2)
    assert both == extents.Extent(6, 2.0, 3.0, 1, 2)


def test_rounding_alone_loses_nothing():
    """Five roundings of numbers in the normal range of float16 move no denominator by five roundoffs, let
    alone by the eight from which something counts as lost.
    """
    rng = np.random.default_rng(0)
    smallest, roundoff = 2.0**-14, 2.0**-11
    worst = 0.0
    for _ in range(300):
        k = rng.choice([0.0, np.exp(rng.uniform(np.log(smallest), np.log(1e3)))])
        alpha = np.exp(rng.uniform(np.log(smallest), 0))
        sums = np.exp(rng.uniform(np.log(smallest), np.log(6e4), 200))
        exact = k + alpha * sums
        normal = exact >= smallest
        x = np.sqrt(sums[normal]).reshape(1, 1, -1)
        found = extents.of_lrn(x, LRN(1, alpha, 0.75, k))
        assert (found.overflow, found.underflow) == (0, 0)
        half = extents.rounded(
            extents.rounded(k) + extents.rounded(extents.rounded(alpha) * extents.rounded(sums[normal]))
        )
        worst = max(worst, float(np.max(np.abs(half / exact[normal] - 1), initial=0.0)))
    assert 2 * roundoff < worst < 5 * roundoff
