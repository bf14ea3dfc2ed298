"""What holds for all tests."""

import random
import resource
import signal
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# No verdict depends on how fast this machine is just now, or on which examples chance brings: what is to be
# found by chance is for `make fuzz`.
settings.register_profile(
    "normdeploy",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("normdeploy")

pytest_plugins = ["tests.plugin_library"]


def pytest_configure() -> None:
    """A shell starts what it runs in the background with these ignored, and processes pass that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """The same numbers each time, in whatever order and process a test runs; its fixtures' too."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # for libraries that use it
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _own_memory_limit() -> Iterator[None]:
    """The command limits the memory of the process it runs in; the next test starts without that limit."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture
def free_alarm() -> Iterator[None]:
    """SIGALRM and its timer as Python starts with them; pytest-timeout uses both."""
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *timer)
