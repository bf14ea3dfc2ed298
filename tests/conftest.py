"""What holds for all tests."""

import resource
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.plugin_library"]


@pytest.fixture(autouse=True)
def _own_memory_limit() -> Iterator[None]:
    """The command limits the memory of the process it runs in; the next test starts without that limit."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)
