"""`normdeploy doctor`: the exit code says whether a named backend works here."""

import json

import pytest

from normdeploy.backends import catalog


@pytest.fixture
def absent(monkeypatch):
    backend = catalog.Backend("absent", "absent:open", ("absent_module",), "absent", "cpu")
    monkeypatch.setitem(catalog.BACKENDS, "absent", backend)


def test_without_names_the_exit_code_is_0(run, absent):
    outcome = run("doctor")
    assert outcome.code == 0
    assert "absent is not installed: run  pip install 'normdeploy[cpu]'" in outcome.out


def test_a_named_backend_that_works(run):
    outcome = run("doctor", "--backend", "onnxruntime", "--json", "-")
    assert outcome.code == 0
    assert [finding["name"] for finding in json.loads(outcome.out)["backends"]] == ["onnxruntime"]


def test_a_named_backend_that_lacks_something_is_exit_code_3(run, absent):
    outcome = run("doctor", "--backend", "onnxruntime", "--backend", "absent")
    assert outcome.code == 3
    assert "absent is not installed: run  pip install 'normdeploy[cpu]'" in outcome.out
    assert run("doctor", "--backend", "absent", "-q").code == 3


def test_a_named_backend_that_crashes_is_exit_code_3(run, monkeypatch):
    backend = catalog.Backend("crash", "tests.cli.crashing_for_cli:aborts")
    monkeypatch.setitem(catalog.BACKENDS, "crash", backend)
    assert run("doctor", "--backend", "crash").code == 3


def test_a_backend_that_there_is_not(run):
    run("doctor", "--backend", "tensort").assert_refused("there is no backend 'tensort': did you mean")
