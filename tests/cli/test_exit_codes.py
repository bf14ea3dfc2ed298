"""One table from what went wrong to the exit code, for every verb."""

import importlib

import onnx
import pytest

from normdeploy import errors
from normdeploy.backends.catalog import find
from normdeploy.cli.app import TRACEBACK, VERBS
from normdeploy.errors import NormdeployError
from normdeploy.pages import charts
from tests.builders import conv_lrn

ARGUMENTS = {
    "build": ("m.onnx", "-o", "engine"),
    "check": ("m.onnx",),
    "doctor": (),
    "export": ("m.py:build", "-o", "m.onnx"),
    "inspect": ("m.onnx",),
    "optimize": ("m.onnx", "-o", "m.onnx"),
    "plugin": ("path",),
    "profile": ("m.onnx",),
    "reduce": ("m.onnx", "-o", "small.onnx"),
}


def made(kind: type[NormdeployError]) -> NormdeployError:
    return kind("torch", "torch") if kind is errors.MissingDependencyError else kind("what is\nwrong")


RAISED = [
    *(
        (made(kind), errors.exit_code(made(kind)))
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, NormdeployError)
    ),
    (RecursionError("too deep"), 2),
    (MemoryError("3 TiB"), 2),
    (PermissionError(13, "what is\nwrong", "some/file"), 2),
    (OSError(95, "what is\nwrong"), 70),
    (ValueError("what is\nwrong"), 70),
    (AssertionError(), 70),
]


@pytest.fixture
def failing(monkeypatch):
    """Make a verb raise an error."""

    def failing(verb, error):
        def callback(*arguments, **options):
            raise error

        command = importlib.import_module(f"normdeploy.cli.{verb}").command
        monkeypatch.setattr(command, "callback", callback)

    return failing


def test_every_verb_is_here():
    assert set(ARGUMENTS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("error", "code"), RAISED, ids=lambda value: type(value).__name__)
def test_each_error_in_each_verb(run, failing, verb, error, code):
    failing(verb, error)
    outcome = run(verb, *ARGUMENTS[verb])
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert ("internal error, please report it: " in outcome.err) == (code == 70)


@pytest.mark.parametrize("verb", VERBS)
def test_an_interruption_in_each_verb(run, failing, verb):
    failing(verb, KeyboardInterrupt())
    outcome = run(verb, *ARGUMENTS[verb])
    assert (outcome.code, outcome.err.strip()) == (130, "")


def test_an_internal_error_shows_where_it_happened_when_asked(run, failing, monkeypatch):
    failing("inspect", ZeroDivisionError("by nought"))
    last = "error: internal error, please report it: ZeroDivisionError: by nought\n"
    assert run("inspect", "m.onnx").err == last
    monkeypatch.setenv(TRACEBACK, "1")
    shown = run("inspect", "m.onnx").err
    assert shown.startswith("Traceback (most recent call last):")
    assert "in callback" in shown
    assert shown.endswith(last)


def test_other_errors_show_no_traceback(run, tmp_path, monkeypatch):
    monkeypatch.setenv(TRACEBACK, "1")
    run("inspect", tmp_path / "no.onnx").assert_refused("no.onnx")


def test_what_is_wrong_is_2(run, tmp_path):
    for verb in ("check", "inspect", "profile"):
        run(verb, tmp_path / "no.onnx").assert_refused("no.onnx")
    for verb in ("build", "optimize"):
        run(verb, tmp_path / "no.onnx", "-o", tmp_path / "out").assert_refused("no.onnx")
    run("export", tmp_path / "no.py:build", "-o", tmp_path / "out").assert_refused("no.py")


def test_what_the_machine_lacks_is_3(run, good, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for verb in ("path", "info"):
        run("plugin", verb).assert_refused("normdeploy plugin build", code=3)
    monkeypatch.setattr(charts.importlib.util, "find_spec", lambda name: None)
    run("check", good, "--html", tmp_path / "x.html").assert_refused("normdeploy[report]", code=3)


def test_a_backend_that_is_not_there_is_3(run, good, tmp_path):
    if find("tensorrt").missing() is None:
        pytest.skip("TensorRT works here")
    options = ("--backend", "tensorrt", "--shape", "x:1x3x6x6")
    refused = run("build", good, "-o", tmp_path / "engine", *options)
    refused.assert_refused("tensorrt is unavailable", code=3)
    assert run("check", good, "--backend", "tensorrt").code == 3


def test_the_worst_outcome_decides(run, good, tmp_path):
    """Wrong numbers (1) stand over a backend that is not there (3); bad input (2) over both."""
    if find("tensorrt").missing() is None:
        pytest.skip("TensorRT works here")
    wrong = tmp_path / "wrong.onnx"
    onnx.save(conv_lrn(bias=1.0), wrong)
    both = ("--backend", "onnxruntime", "--backend", "tensorrt")
    assert run("check", good, *both).code == 3
    assert run("check", wrong, "--reference", good, *both).code == 1
    run("check", wrong, "--reference", tmp_path / "no.onnx", *both).assert_refused("no.onnx")
