"""The page that `profile --html` writes: its badge, and latencies over time."""

from dataclasses import replace

import numpy as np
import pytest

import normdeploy as nd
from normdeploy.profiling.comparison import LatencyComparison
from normdeploy.profiling.page import over_time
from normdeploy.profiling.report import Change
from tests.builders import conv_lrn

FASTER, SAME, SLOWER, SLOWEST = (
    LatencyComparison("p50", 1.0, ratio, ratio, (ratio * 0.99, ratio * 1.01))
    for ratio in (0.5, 1.0, 1.5, 2.0)
)


@pytest.fixture(scope="module")
def profile():
    pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'normdeploy[report]'")
    return nd.profile(conv_lrn(), backends=["onnxruntime"], duration=0.1)


def badge(profile, **changes):
    """The page's, with a change in each backend."""
    found = [Change(name, None, "models/old.onnx", [ratio]) for name, ratio in changes.items()]
    page = replace(profile, changes=found).html()
    start = page.index('class="badge ') + len('class="badge ')
    return page[start : page.index("</span>", start)]


@pytest.mark.parametrize(
    ("compared", "shown"),
    [
        (FASTER, 'good">faster (p50 is 0.500 times that of old.onnx)'),
        (SAME, 'note">no difference (p50 is 1.000 times that of old.onnx)'),
        (SLOWER, 'bad">slower (p50 is 1.500 times that of old.onnx)'),
    ],
)
def test_the_badge_is_the_comparison(profile, compared, shown):
    assert badge(profile, one=compared) == shown


def test_the_badge_of_several_backends_is_the_worst(profile):
    assert badge(profile, one=FASTER, two=SLOWEST, three=SLOWER).startswith('bad">slower (two p50 is 2.000')
    assert badge(profile, one=FASTER, two=SAME).startswith('note">no difference (two p50')


def test_without_a_comparison_it_says_whether_the_numbers_are_stable(profile):
    (backend,) = profile.backends
    assert badge(replace(profile, backends=[replace(backend, disturbance="")])) == 'good">stable'
    assert badge(replace(profile, backends=[replace(backend, disturbance="noise")])) == 'warn">not stable'


def test_a_line_over_time_is_broken_where_nothing_ran():
    latencies = np.full(300, 10.0)
    began = np.concatenate([start + np.arange(100) / 100 for start in (5.0, 6.0, 10.0)])
    times, middle, slowest = over_time(began, latencies)
    (gap,) = np.flatnonzero(np.isnan(times))
    assert np.isnan([middle[gap], slowest[gap]]).all()
    assert times[0] == 0
    assert times[gap - 1] < 2
    assert times[gap + 1] == 5.0
    assert np.delete(middle, gap) == pytest.approx(10)


def test_points_over_time_stand_for_as_much_time_each_and_leave_no_run_out():
    began = np.arange(10_000) / 1000
    latencies = np.ones(10_000)
    latencies[7777] = 50.0
    times, middle, slowest = over_time(began, latencies)
    assert times.size == 400
    assert middle.max() == 1
    assert slowest.max() == 50


def test_one_run_is_a_point():
    times, middle, slowest = over_time(np.array([3.0]), np.array([2.0]))
    assert (times.tolist(), middle.tolist(), slowest.tolist()) == ([0.0], [2.0], [2.0])
