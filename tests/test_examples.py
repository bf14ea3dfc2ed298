"""The examples in the docstrings of the public functions do what they say."""

import doctest
from pathlib import Path

import pytest

import normdeploy as nd
from normdeploy.backends.catalog import find

ROOT = Path(__file__).parents[1]
WITH_EXAMPLE = ("build", "check", "doctor", "export", "inspect", "optimize", "profile", "reduce")
NEEDED = {"export": "torch", "profile": "arch"}


def examples(name: str) -> list[doctest.DocTest]:
    """Of a name that normdeploy offers, and of the methods where it is a class."""
    found = doctest.DocTestFinder(exclude_empty=True).find(getattr(nd, name), name, globs={})
    return [test for test in found if test.examples]


@pytest.fixture
def root(monkeypatch, tmp_path):
    """The examples are run at the root of a copy of the repository that has the models only."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("name", sorted(nd.__all__))
def test_examples(name):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    if name == "build" and find("tensorrt-rtx").missing(without_gpu=True):
        pytest.skip("TensorRT-RTX is not installed")
    tests = examples(name)
    assert tests or name not in WITH_EXAMPLE
    for test in tests:
        lines: list[str] = []
        result = doctest.DocTestRunner().run(test, out=lines.append)
        assert result.failed == 0, "".join(lines)
        assert result.attempted > 0
