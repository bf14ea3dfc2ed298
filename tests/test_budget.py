"""What work may take: the clock, memory, and how budgets nest."""

import signal
import sys
import threading

import numpy as np
import pytest

from normdeploy import budget, resources, signals
from normdeploy.budget import (
    check_budget,
    clock_stopped,
    memory_kept,
    require_memory,
    require_time,
    restart_clock,
    seconds_left,
    spending,
)
from normdeploy.errors import BudgetExceeded, UsageError
from normdeploy.signals import Ended, undisturbed


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


def test_the_work_of_others_is_kept_to_what_is_left():
    with spending(max_memory=2**24), pytest.raises(MemoryError), memory_kept():
        bytearray(2**28)
    with pytest.raises(MemoryError), memory_kept(2**24):
        bytearray(2**28)
    with spending(max_memory=2**32), memory_kept():
        assert len(bytearray(2**26)) == 2**26
    assert len(bytearray(2**28)) == 2**28, "a limit that has outlived its block"


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


def turn():
    """Python code that never looks at the budget."""
    while True:
        pass


@pytest.mark.usefixtures("free_alarm")
class TestAlarm:
    def test_python_code_that_never_looks_is_interrupted(self):
        took = r"took longer than the 0\.05 s allowed.*--timeout"
        with pytest.raises(BudgetExceeded, match=took), spending(timeout=0.05):
            turn()

    def test_no_handler_of_exceptions_on_the_way_stops_it(self):
        def stubborn():
            while True:
                try:
                    turn()
                except Exception:  # noqa: S112  # what is tested
                    continue

        with pytest.raises(BudgetExceeded), spending(timeout=0.05):
            stubborn()

    def test_it_rings_again_where_somebody_swallows_it(self, monkeypatch):
        monkeypatch.setattr(signals, "_AGAIN", 0.05)
        swallowed = []

        def work():
            try:
                turn()
            except BaseException as error:  # as Python does around a __del__
                swallowed.append(error)
            turn()

        with pytest.raises(BudgetExceeded), spending(timeout=0.05):
            work()
        assert len(swallowed) == 1

    def test_where_python_swallows_it_nothing_is_printed_and_it_rings_again(self, monkeypatch):
        class Turning:
            def __del__(self):
                turn()

        def work():
            Turning()
            turn()

        printed = []
        monkeypatch.setattr(sys, "unraisablehook", printed.append)
        with pytest.raises(BudgetExceeded), spending(timeout=0.05):
            work()
        assert not printed
        assert sys.unraisablehook == printed.append

    def test_the_inner_budget_ends_alone(self):
        with spending(timeout=1000):
            with pytest.raises(BudgetExceeded, match=r"the 0\.05 s"), spending(timeout=0.05):
                turn()
            assert seconds_left() > 0
            with pytest.raises(BudgetExceeded, match=r"the 0\.06 s"), spending(timeout=0.06):
                turn()

    def test_what_must_not_be_interrupted_is_not(self):
        done = []

        def work():
            with undisturbed():
                while seconds_left() > -0.2:
                    pass
                done.append(True)
            turn()

        with pytest.raises(BudgetExceeded), spending(timeout=0.05):
            work()
        assert done == [True]

    def test_time_that_others_take_does_not_count(self, clock):
        with spending(timeout=5), spending(timeout=4):
            with clock_stopped():
                clock.now += 100
                assert seconds_left() == 4
                with clock_stopped():
                    clock.now += 100
            assert seconds_left() == 4
            clock.now += 4.5
            with pytest.raises(BudgetExceeded, match="the 4 s"):
                check_budget()

    def test_a_signal_from_outside_is_not_ours(self):
        with pytest.raises(Ended), spending(timeout=1000):
            signal.raise_signal(signal.SIGALRM)

    def test_nothing_stays_set(self):
        with spending(timeout=1000):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL

    def test_a_handler_of_somebody_else_stays(self):
        def theirs(*_):
            raise AssertionError("nobody calls it")

        before = signal.signal(signal.SIGALRM, theirs)
        try:
            with spending(timeout=1000):
                assert signal.getsignal(signal.SIGALRM) is theirs
                assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_other_threads_look_only(self):
        found = []

        def work():
            with spending(timeout=1000):
                found.append(signal.getitimer(signal.ITIMER_REAL))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [(0, 0)]


def test_memory_that_was_freed_is_left():
    """Though the allocator keeps it: what is above is still in use."""
    with spending(max_memory=2**26):
        blocks = [bytearray(100_000) for _ in range(1500)]
        above = blocks.pop()
        blocks.clear()
        check_budget()
        require_memory((2**22,))
        assert above
