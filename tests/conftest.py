"""What holds for all tests."""

import resource
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No verdict depends on how fast this machine is just now.
settings.register_profile("normdeploy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("normdeploy")

pytest_plugins = ["tests.plugin_library"]


@pytest.fixture(autouse=True)
def _own_memory_limit() -> Iterator[None]:
    """The command limits the memory of the process it runs in; the next test starts without that limit."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)
