"""The exception tree: what its drawing says, what is exported, and the exit code of each."""

import re

import pytest

import normdeploy
from normdeploy import errors
from normdeploy.errors import (
    BackendTimeout,
    ExitCode,
    MissingDependencyError,
    NormdeployError,
    UsageError,
    exit_code,
    suggestion,
)

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, NormdeployError)
]
DRAWN = re.compile(r"^(?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<code>\d+)  ", re.MULTILINE)


def drawn() -> dict[str, tuple[str | None, int]]:
    """Of each exception in the docstring's tree: its base and its exit code."""
    found: dict[str, tuple[str | None, int]] = {}
    path: list[str] = []
    for line in DRAWN.finditer(errors.__doc__):
        depth = len(line["branches"]) // len("├── ")
        found[line["name"]] = (path[depth - 1] if depth else None, int(line["code"]))
        path[depth:] = [line["name"]]
    return found


def test_the_drawing_is_the_tree():
    actual = {
        kind.__name__: (None if kind is NormdeployError else kind.__bases__[0].__name__) for kind in CLASSES
    }
    assert len(actual) > 10
    assert {name: base for name, (base, _) in drawn().items()} == actual


def test_the_drawing_has_the_exit_codes():
    assert {name: code for name, (_, code) in drawn().items()} == {
        kind.__name__: exit_code(kind.__new__(kind)) for kind in CLASSES
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_exported_and_says_what_it_is(kind):
    assert getattr(normdeploy, kind.__name__) is kind
    assert kind.__name__ in normdeploy.__all__
    assert kind.__doc__


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (MissingDependencyError("torch", "torch"), 3),
        (BackendTimeout("x"), 3),
        (RecursionError(), 2),
        (MemoryError(), 2),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 70),
        (AssertionError(), 70),
        (OSError("x"), 70),
    ],
)
def test_the_nearest_base_decides(error, code):
    assert exit_code(error) is ExitCode(code)


def test_a_missing_package_says_how_to_install_it():
    assert str(MissingDependencyError("onnxruntime", "cpu")) == (
        "onnxruntime is not installed: run  pip install 'normdeploy[cpu]'"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("onnxruntme", "did you mean 'onnxruntime'?"),
        ("tensort", "did you mean 'tensorrt' or 'tensorrt-rtx'?"),
        ("cuda", "choose from onnxruntime, tensorrt, tensorrt-rtx"),
    ],
)
def test_an_unknown_name_meets_the_nearest(name, message):
    assert suggestion(name, ["onnxruntime", "tensorrt", "tensorrt-rtx"]) == message
