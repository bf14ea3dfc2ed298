"""No test depends on the clock or on chance. Read from the source, nothing is run."""

import ast
import random
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent
FILES = sorted(path for path in TESTS.rglob("*.py"))

WAITING = {
    "tests/cli/processes.py": "for what happens in other processes, for as long as it takes",
    "tests/cli/test_signals.py": "for a signal, in a process that is ended by it",
    "tests/fuzz/__main__.py": "says how long it took",
    "tests/profiling/misbehaving_for_profile.py": "a backend that takes time",
}
"""Who may use the clock, and what for."""


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """Every call of a dotted name in a file."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in found]


def name(path: Path) -> str:
    return path.relative_to(TESTS.parent).as_posix()


@pytest.mark.parametrize("path", [path for path in FILES if name(path) not in WAITING], ids=name)
def test_no_clock(path):
    clocks = [called for called, _ in calls(path) if called.split(".")[0] == "time" and "." in called]
    assert clocks == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_chance(path):
    """What is drawn without a generator is seeded in conftest.py."""
    assert [called for called, call in calls(path) if called.endswith("default_rng") and not call.args] == []


@pytest.mark.parametrize("_", range(2))
def test_what_is_drawn_without_a_seed_is_the_same_in_each_test(_):
    assert random.random() == pytest.approx(0.8444218515250481)  # noqa: S311
    assert np.random.random() == pytest.approx(0.5488135039273248)  # noqa: NPY002
