"""Tasks and the threads that help with them."""

import contextvars
import threading

import pytest

from normdeploy import parallel
from normdeploy.budget import check_budget, spending
from normdeploy.errors import BudgetExceeded
from normdeploy.parallel import Task, helpers
from normdeploy.signals import TimeIsUp


@pytest.fixture(params=[1, 2, 5], ids=lambda cores: f"{cores}cores")
def cores(request, monkeypatch):
    monkeypatch.setattr(parallel, "usable_cpus", lambda: request.param)
    return request.param


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(parallel, "usable_cpus", lambda: 2)


class Gate:
    """Work that a helper has begun and that ends when it is let."""

    def __init__(self):
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.entered.set()
        assert self.open.wait(60)
        return threading.current_thread()


def helper_threads():
    return [thread for thread in threading.enumerate() if thread.name == "normdeploy-helper"]


def test_every_task_is_computed_once_and_its_result_is_its_own(cores):
    computed = []

    def work(number):
        computed.append(number)
        return number * number

    with helpers() as ahead:
        assert ahead == cores - 1
        tasks = [Task(lambda number=number: work(number)).begin() for number in range(50)]
        assert [task.result() for task in reversed(tasks)] == [n * n for n in reversed(range(50))]
        assert tasks[0].result() == 0
    assert sorted(computed) == list(range(50))
    assert not helper_threads()


def test_without_helpers_nothing_is_computed_before_it_is_asked_for():
    computed = []
    task = Task(lambda: computed.append(threading.current_thread())).begin()
    assert not computed
    task.result()
    assert computed == [threading.current_thread()]


@pytest.mark.usefixtures("two_cores")
def test_a_helper_computes_while_the_caller_does_something_else_and_the_caller_helps_while_it_waits():
    slow, here = Gate(), threading.current_thread()
    with helpers():
        first = Task(slow).begin()
        assert slow.entered.wait(60)
        others = [Task(threading.current_thread).begin() for _ in range(3)]
        last = Task(slow.open.set).begin()
        assert first.result() is not here
        assert [task.result() for task in others] == [here] * 3
        last.result()


def test_work_sees_the_context_in_which_it_was_made(cores):
    variable = contextvars.ContextVar("variable", default=0)
    with helpers():
        tasks = []
        for number in range(4):
            token = variable.set(number)
            tasks.append(Task(variable.get).begin())
            variable.reset(token)
        assert [task.result() for task in tasks] == [0, 1, 2, 3]


def test_an_error_is_raised_where_the_result_is_asked_for(cores):
    with helpers():
        wrong = Task(lambda: 1 / 0).begin()
        assert Task(lambda: 1).begin().result() == 1
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                wrong.result()


@pytest.mark.usefixtures("two_cores")
def test_what_finds_no_memory_beside_others_is_computed_again_alone():
    busy, other = threading.Event(), Gate()
    alone = []

    def greedy():
        alone.append(not other.entered.is_set() or other.open.is_set())
        if not alone[-1]:
            other.open.set()
            raise BudgetExceeded("no memory")
        return "done"

    with helpers():
        Task(other).begin()
        assert other.entered.wait(60)
        waiting = Task(busy.set)
        task = Task(greedy)
        waiting.begin()
        assert task.result() == "done"
        assert alone == [False, True]
        waiting.result()


def test_what_finds_no_memory_by_itself_fails(cores):
    def greedy():
        raise BudgetExceeded("no memory")

    with helpers(), pytest.raises(BudgetExceeded, match="no memory"):
        Task(greedy).begin().result()


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("looks", [True, False], ids=["looks at the budget", "never looks"])
def test_an_error_ends_the_helpers(looks, monkeypatch):
    monkeypatch.setattr(parallel, "_GRACE_SECONDS", 0.05)
    entered, never = threading.Event(), threading.Event()

    def endless():
        entered.set()
        while True:
            never.wait(0.001)
            if looks:
                check_budget()

    with pytest.raises(ZeroDivisionError), helpers():  # noqa: PT012
        Task(endless).begin()
        later = Task(lambda: 1).begin()
        assert entered.wait(60)
        raise ZeroDivisionError
    assert not helper_threads()
    assert later.result() == 1


@pytest.mark.usefixtures("two_cores", "free_alarm")
def test_an_alarm_rings_in_the_main_thread_while_it_waits_for_a_helper(monkeypatch):
    monkeypatch.setattr(parallel, "_GRACE_SECONDS", 0.05)
    entered, never = threading.Event(), threading.Event()

    def endless():
        entered.set()
        while True:
            never.wait(0.001)

    with pytest.raises(BudgetExceeded, match=r"took longer than the 0\.2 s"), spending(0.2), helpers():  # noqa: PT012
        task = Task(endless).begin()
        entered.wait(60)
        task.result()
    assert not helper_threads()


@pytest.mark.usefixtures("two_cores")
def test_a_budget_holds_in_helpers():
    def work():
        while True:
            check_budget()

    with spending(0.05), helpers(), pytest.raises((BudgetExceeded, TimeIsUp)):
        Task(work).begin().result()


def test_a_task_can_be_computed_when_the_helpers_are_gone(cores):
    with helpers():
        task = Task(lambda: check_budget() or 1)
    assert task.begin().result() == 1


@pytest.mark.usefixtures("two_cores")
def test_helpers_inside_helpers_are_the_same():
    with helpers(), helpers() as inner:
        assert inner == 1
        assert [Task(lambda: 1).begin().result() for _ in range(3)] == [1, 1, 1]
        assert len(helper_threads()) <= 1


def test_work_that_finds_no_memory_waits_for_no_task_that_is_held():
    """One that was begun twice, or is held by a block outside; the helper is busy all the time."""

    def greedy():
        raise BudgetExceeded("no memory")

    def greedy_inside():
        return Task(greedy).begin().result()

    team = parallel._Team(1)
    team._threads.append(threading.current_thread())
    token = parallel._team.set(team)
    try:
        waiting = Task(lambda: 7).begin()
        assert waiting.begin() is waiting
        with pytest.raises(BudgetExceeded, match="no memory"):
            Task(greedy_inside).begin().result()
        assert waiting.result() == 7
    finally:
        parallel._team.reset(token)
