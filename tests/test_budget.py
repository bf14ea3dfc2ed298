"""What work may take: the clock, memory, and how budgets nest."""

import numpy as np
import pytest

from normdeploy import budget, resources
from normdeploy.budget import (
    check_budget,
    require_memory,
    require_time,
    restart_clock,
    seconds_left,
    spending,
)
from normdeploy.errors import BudgetExceeded, UsageError


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    return clock


def test_a_tensor_that_does_not_fit_is_refused_with_its_shape():
    require_memory((1000, 1000))
    with pytest.raises(MemoryError, match=r"shape \(1048576, 1048576, 1048576\) would take .* GiB"):
        require_memory((2**20, 2**20, 2**20), itemsize=1)
    with pytest.raises(MemoryError):
        require_memory((10**30,))


def test_a_tensor_beyond_the_memory_allowed_is_refused(monkeypatch):
    monkeypatch.setattr(resources, "physical_memory", lambda: 2.0**40)
    monkeypatch.setattr(budget, "_resident", lambda: 2**20)
    with spending(max_memory=2**30):
        require_memory((2**27,))
        with pytest.raises(MemoryError, match=r"take 2 GiB, more than what is left of the 1 GiB.*--max"):
            require_memory((2**28,))
    require_memory((2**28,))
    with pytest.raises(MemoryError, match=r"would take 768 GiB, more than the 512 GiB allowed"):
        require_memory((3 * 2**35,))


def test_what_is_held_already_counts(monkeypatch):
    monkeypatch.setattr(resources, "physical_memory", lambda: 2.0**40)
    held = [2**20]
    monkeypatch.setattr(budget, "_resident", lambda: held[0])
    with spending(max_memory=2**30):
        check_budget()
        held[0] += 2**29
        require_memory((2**26,))
        with pytest.raises(MemoryError, match="left of the 1 GiB"):
            require_memory((2**26 + 1,))


def test_memory_that_is_taken_bit_by_bit_is_noticed(monkeypatch, clock):
    held = [2**20]
    monkeypatch.setattr(budget, "_resident", lambda: held[0])
    with spending(max_memory=2**30):
        held[0] += 2**30 + 1
        clock.now += 1
        with pytest.raises(BudgetExceeded, match="this here took more memory than the 1 GiB allowed"):
            check_budget("this here ")


def test_this_process_tells_how_much_memory_it_holds():
    before = budget._resident()
    taken = np.ones(2**24)
    assert budget._resident() - before > taken.nbytes // 2


def test_time_that_is_used_up(clock):
    with spending(timeout=5):
        clock.now += 4.9
        check_budget()
        assert seconds_left() == pytest.approx(0.1)
        clock.now += 0.2
        with pytest.raises(BudgetExceeded, match=r"took longer than the 5 s allowed.*--timeout"):
            check_budget()
        restart_clock()
        check_budget()
    check_budget()
    assert seconds_left() == float("inf")


def test_an_inner_budget_is_part_of_the_outer_one(clock):
    with spending(timeout=5):
        clock.now += 3
        with spending(timeout=60):
            assert seconds_left() == pytest.approx(2)
            restart_clock()
            assert seconds_left() == pytest.approx(2)
        with spending(timeout=1):
            assert seconds_left() == pytest.approx(1)
        with spending():
            assert seconds_left() == pytest.approx(2)


def test_work_that_no_processor_does_in_time_is_not_begun(clock):
    require_time(1e30)
    with spending(timeout=10):
        require_time(1e11)
        with pytest.raises(BudgetExceeded, match="1e\\+13 multiplications take longer"):
            require_time(1e13)


@pytest.mark.parametrize("limit", [{"timeout": 0}, {"max_memory": -1}, {"timeout": float("nan")}])
def test_a_limit_that_makes_no_sense(limit):
    with pytest.raises(UsageError, match=f"{next(iter(limit))} must be above 0"), spending(**limit):
        pass
