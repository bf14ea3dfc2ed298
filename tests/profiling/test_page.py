"""The page that `profile --html` writes: its badge, and latencies over time."""

import math
from dataclasses import replace

import numpy as np
import pytest

import normdeploy as nd
from normdeploy.profiling.comparison import LatencyComparison
from normdeploy.profiling.layers import Layer
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


def test_a_ratio_that_is_hardly_known_is_not_the_badge(profile):
    """As that of the 99th percentile of a few runs."""
    vague = LatencyComparison("p99", 1.0, 2.7, 2.7, (0.5, 5.0))
    unknown = LatencyComparison("p95", 1.0, 2.7, 2.7, (0.0, math.inf))
    assert {quantity.verdict for quantity in (vague, unknown)} == {"no difference"}
    assert badge(profile, one=vague, two=SAME, three=unknown) == (
        'note">no difference (two p50 is 1.000 times that of old.onnx)'
    )
    assert badge(profile, one=vague, two=SLOWER).startswith('bad">slower (two p50 is 1.500')


def test_the_layers_are_in_the_order_of_their_time_without_columns_that_are_empty(profile):
    (backend,) = profile.backends
    layers = [Layer(name, "Op", mean, 0.1, (), None, False) for name, mean in (("first", 1.0), ("slow", 3.0))]
    page = replace(profile, backends=[replace(backend, layers=layers)]).html()
    table = page[page.index("nodes of the model") :]
    assert table.index(">slow<") < table.index(">first<")
    assert "floor" not in page


def test_what_it_was_measured_on_is_in_words(profile):
    facts = {"load_average": [1.23456789, 2.0], "thread_variables": {"OMP_NUM_THREADS": "1"}, "gpus": []}
    page = replace(profile, environment=facts).html()
    assert "1.235, 2<" in page
    assert "OMP_NUM_THREADS 1<" in page
    assert not set("[]{}") & set(page[page.index("Measured on") :])


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
