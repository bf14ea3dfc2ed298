"""An earlier profile to compare with: documents that are made up, whole and broken."""

import json
from dataclasses import replace

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.profiling.baseline import read_baseline
from normdeploy.profiling.report import BackendProfile, Profile
from normdeploy.profiling.statistics import summarize

MACHINE = {"cpu": "one", "cpus": 2, "usable_cpus": 2, "governor": None, "machine": "x86_64"}
SERIES = 1 + 0.05 * np.random.default_rng(0).random(500)


def backend(scale=1.0, **fields):
    """A backend that took about a millisecond, times a factor."""
    known = {"name": "fast", "model": "m.onnx", "versions": {"fast": "1.0"}, **fields}
    return BackendProfile(**known, status="measured", latency=summarize(SERIES * scale))


def profile(*backends, **fields):
    known = {"model": "m.onnx", "seed": 0, "duration": 1.0, "inputs": {}, "backends": backends, "changes": ()}
    return Profile(**{**known, "notes": (), "environment": MACHINE, **fields})


@pytest.fixture
def baseline(tmp_path):
    """Writes a profile and reads it as a baseline."""

    def read(*backends, **fields):
        path = tmp_path / "old.json"
        path.write_text(json.dumps(profile(*backends, **fields).to_json(), allow_nan=False))
        return read_baseline(path)

    return read


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "no difference"), (1.3, "slower"), (0.7, "faster")])
def test_each_percentile_is_compared(baseline, scale, verdict):
    (change,) = baseline(backend()).changes([backend(scale)], "m.onnx")
    assert [quantity.name for quantity in change.quantities] == ["p50", "p90", "p95", "p99"]
    for quantity in change.quantities:
        assert quantity.ratio == pytest.approx(scale)
    assert change.quantities[0].before == pytest.approx(float(np.median(SERIES)))
    assert change.quantities[0].verdict == verdict


def test_a_slowdown_beyond_what_is_allowed_is_a_regression(baseline):
    now = backend(50.0)
    result = profile(now, changes=baseline(backend()).changes([now], "m.onnx"))
    assert result.regressions(50)
    assert not result.regressions(100_000)


def test_only_what_both_measured_is_compared(baseline):
    old = baseline(backend(batch=1), backend(batch=4), backend(name="slow"))
    now = [backend(batch=4), backend(batch=8), backend(model="other.onnx", batch=1)]
    assert [change.batch for change in old.changes(now, "m.onnx")] == [4]


def test_what_may_explain_a_difference_is_noted(baseline):
    old = baseline(backend())
    assert old.notes([backend()], MACHINE) == []
    assert old.notes([backend(name="slow")], MACHINE) == [
        "the baseline has no slow of this batch size to compare with"
    ]
    assert old.notes([replace(backend(), versions={"fast": "2.0"})], {**MACHINE, "cpu": "another"}) == [
        "the baseline comes from another machine: cpu was one and is another",
        "fast: the baseline was measured with fast 1.0",
    ]


def test_bounds_that_are_not_known_decide_nothing(baseline):
    """A percentile of a short series has no upper bound, which is null in JSON."""
    short = replace(backend(), latency=summarize(SERIES[:20]))
    (change,) = baseline(short).changes([backend(50.0)], "m.onnx")
    p99 = change.quantities[-1]
    assert p99.ratio > 45
    assert p99.account == "no difference shown: too few runs to tell"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("not json", "is not JSON"),
        ("[]", "is not what  normdeploy profile --json  writes"),
        ('{"schema": 2}', "has schema 2"),
        ('{"schema": 1, "backends": [{}]}', "is not what"),
        ('{"schema": 1, "model": "m", "backends": [{"status": "measured"}]}', "is not what"),
    ],
)
def test_a_broken_baseline_is_one_line(tmp_path, text, message):
    old = tmp_path / "old.json"
    if text is not None:
        old.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_baseline(old)
    assert "\n" not in str(caught.value)


def test_a_latency_of_zero_is_refused(tmp_path):
    document = profile(backend()).to_json()
    document["backends"][0]["latency_ms"]["p50"] = 0
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="p50 is 0"):
        read_baseline(path)
