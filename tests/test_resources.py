"""Limits on memory, set in processes of their own."""

import math
import subprocess
import sys

import pytest

from normdeploy import resources
from normdeploy.resources import physical_memory


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run code after an import of everything that the limits need."""
    program = f"import resource\nfrom normdeploy.resources import limit_memory, no_core_dumps\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_this_machine_has_memory():
    assert 2**20 < physical_memory() < math.inf


@pytest.mark.parametrize(("told", "expected"), [("1048576\n", 2**20), ("max\n", None)])
def test_a_containers_limit_counts(monkeypatch, tmp_path, told, expected):
    limit = tmp_path / "memory.max"
    limit.write_text(told)
    monkeypatch.setattr(resources, "_CONTAINER_LIMIT", tmp_path / "nothing")
    whole = physical_memory.__wrapped__()
    monkeypatch.setattr(resources, "_CONTAINER_LIMIT", limit)
    assert physical_memory.__wrapped__() == (expected or whole)


def test_a_limit_makes_allocations_fail():
    done = in_a_process("""
limit_memory(2**28)
bytearray(2**26)
try:
    bytearray(2**29)
except MemoryError:
    print("refused")
""")
    assert done.stdout == "refused\n", done.stderr


def test_a_tighter_limit_stays_and_no_limit_is_none():
    done = in_a_process("""
before = resource.getrlimit(resource.RLIMIT_DATA)
limit_memory(float("inf"))
assert resource.getrlimit(resource.RLIMIT_DATA) == before
limit_memory(2**30)
limit_memory(2**31)
print(resource.getrlimit(resource.RLIMIT_DATA)[0])
""")
    assert done.stdout == f"{2**30}\n", done.stderr


def test_no_core_file_is_left():
    done = in_a_process("no_core_dumps()\nprint(resource.getrlimit(resource.RLIMIT_CORE)[0])")
    assert done.stdout == "0\n", done.stderr
