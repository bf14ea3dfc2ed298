"""What work on a model that is not trusted may take: seconds, and bytes of memory.

A model of a few bytes can ask for terabytes, or for a loop of 2^62 trips. `spending` sets the budget of all
the work inside it; `require_memory` and `require_time` refuse what the shapes tell to be beyond it before it
is begun, and `check_budget`, called between the steps of the work, what they do not tell. In the main thread
an alarm also ends what takes too long between two of those calls.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from normdeploy import resources
from normdeploy.choices import WORK_TIMEOUT
from normdeploy.errors import BudgetExceeded, UsageError
from normdeploy.parallel import require_wanted
from normdeploy.signals import Alarm, TimeIsUp, alarmed

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LOOK_SECONDS = 0.01
"""Between two looks at how much memory this process has: each costs as much as a small operator."""

_STATUS = Path("/proc/self/statm")
_FASTEST = 1e11
"""Multiplications and additions a second that no processor's core exceeds in float64."""

_FASTEST_SINGLE = 1e10
"""Those that no core exceeds where they are no products of floating matrices, which libraries do fast."""


class Budget:
    """Seconds and bytes, and how much of them is left.

    Args:
        seconds: that the work may take; `restart` begins them anew.
        nbytes: that this process may take beyond what it has now.
        outer: the budget that this one is a part of.
    """

    def __init__(self, seconds: float, nbytes: float, outer: Budget | None = None) -> None:
        self.seconds, self.nbytes, self._outer = seconds, nbytes, outer
        self._before = _resident()
        self._next_look = 0.0
        self._stopped_at: float | None = None
        self.alarm: Alarm | None = None
        self.restart()

    def restart(self) -> None:
        """Begin the seconds anew, within those of the outer budget."""
        self._deadline = time.monotonic() + self.seconds
        if self._outer is not None:
            self._deadline = min(self._deadline, self._outer._deadline)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time inside does not count, in this budget and in those around it."""
        if self._stopped_at is not None:
            yield
            return
        self._stopped_at = time.monotonic()
        try:
            with nullcontext() if self._outer is None else self._outer.stopped():
                yield
        finally:
            self._deadline += time.monotonic() - self._stopped_at
            self._stopped_at = None

    @property
    def seconds_left(self) -> float:
        """Until the work has to end; negative afterwards."""
        return self._deadline - (time.monotonic() if self._stopped_at is None else self._stopped_at)

    @property
    def bytes_left(self) -> float:
        """Of memory, that the work may still take."""
        left = self.nbytes - max(0, _resident() - self._before)
        return left if self._outer is None else min(left, self._outer.bytes_left)

    def holds(self, nbytes: float) -> bool:
        """Whether so many bytes of memory are left; what was freed, and the allocator keeps, is."""
        if nbytes > self.bytes_left:
            resources.release_freed_memory()
        return nbytes <= self.bytes_left

    def check(self, where: str) -> None:
        """Refuse to go on when the time or the memory is used up; see `check_budget`."""
        now = time.monotonic()
        if now >= self._deadline:
            raise self.time_is_up(where)
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if not self.holds(0):
                raise BudgetExceeded(f"{where}took more memory than the {_allowed(self.nbytes)}")

    def time_is_up(self, where: str) -> BudgetExceeded:
        """The error for work that took too long; see `check_budget`."""
        return BudgetExceeded(
            f"{where}took longer than the {self.seconds:.6g} s allowed: use a smaller model or shape, or "
            "allow more time with --timeout (timeout= in Python)"
        )


_current: ContextVar[Budget | None] = ContextVar("_current", default=None)

_WORK = "the work on this model "


@contextmanager
def spending(timeout: float | None = None, max_memory: float | None = None) -> Iterator[None]:
    """Let the work inside take so much, and no more than a budget around it has left.

    Args:
        timeout: seconds; by default those of the budget around, or 600.
        max_memory: bytes, beyond what this process has now; by default those of the budget around, or half
            of the machine's memory.

    Raises:
        UsageError: a timeout or a memory that is not above 0.
        BudgetExceeded: in the main thread, the work inside took too long.
    """
    for name, value in (("timeout", timeout), ("max_memory", max_memory)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0, got {value:g}")
    outer = _current.get()
    if outer is not None and timeout is None and max_memory is None:
        yield
        return
    seconds = timeout if timeout is not None else outer.seconds if outer else WORK_TIMEOUT
    nbytes = max_memory if max_memory is not None else outer.nbytes if outer else resources.default_memory()
    budget = Budget(seconds, nbytes, outer)
    try:
        with _current_is(budget), _alarm_for(budget, outer):
            yield
    except TimeIsUp:
        raise budget.time_is_up(_WORK) from None


@contextmanager
def _current_is(budget: Budget) -> Iterator[None]:
    token = _current.set(budget)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def _alarm_for(budget: Budget, outer: Budget | None) -> Iterator[None]:
    """One alarm for all budgets inside each other; it rings when the innermost one is used up."""
    if outer is None:
        with alarmed(seconds_left) as budget.alarm:
            yield
    elif outer.alarm is None:
        yield
    else:
        budget.alarm = outer.alarm
        budget.alarm.set()
        yield


def restart_clock() -> None:
    """Begin the seconds anew: what comes now, another batch, may take as long as what was done."""
    budget = _current.get()
    if budget is not None:
        budget.restart()


@contextmanager
def clock_stopped() -> Iterator[None]:
    """Time inside does not count: another process is waited for, which has a limit of its own."""
    budget = _current.get()
    with nullcontext() if budget is None else budget.stopped():
        yield


def budgeted(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function within the budget that its keyword arguments `timeout` and `max_memory` give."""

    @wraps(function)
    def run(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        timeout, max_memory = keywords.get("timeout"), keywords.get("max_memory")
        with spending(_number(timeout), _number(max_memory)):
            return function(*arguments, **keywords)

    return run


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def seconds_left() -> float:
    """That the work may still take; infinity where no budget is set."""
    budget = _current.get()
    return math.inf if budget is None else budget.seconds_left


def check_budget(where: str = _WORK) -> None:
    """Refuse to go on when the time or the memory is used up; stop where nobody waits for the work any more.

    Args:
        where: what takes it, to begin the message with.

    Raises:
        BudgetExceeded: either is.
    """
    require_wanted()
    budget = _current.get()
    if budget is not None:
        budget.check(where)


def require_memory(shape: Sequence[int], itemsize: int = 8) -> None:
    """Check that a tensor of this shape fits, before it is allocated.

    A model's few bytes can ask for terabytes (ConstantOfShape, Expand, Pad, ...), and Linux grants the
    address space and ends the process later.

    Args:
        shape: of the tensor.
        itemsize: bytes of an element.

    Raises:
        MemoryError: it takes more than this machine has, or more than the budget has left.
    """
    nbytes = math.prod(int(size) for size in shape) * itemsize
    machine = resources.physical_memory()
    if nbytes > machine:
        raise MemoryError(f"{_takes(shape, nbytes)}, and this machine has {machine / 2**30:.4g} GiB")
    budget = _current.get()
    if budget is None:
        if nbytes > resources.default_memory():
            raise MemoryError(
                f"{_takes(shape, nbytes)}, more than the {_allowed(resources.default_memory())}"
            )
    elif nbytes > budget.nbytes or (nbytes > _SMALL and not budget.holds(nbytes)):
        raise MemoryError(f"{_takes(shape, nbytes)}, more than what is left of the {_allowed(budget.nbytes)}")


_SMALL = 2**16
"""Bytes of a tensor that is not worth a look; `check_budget` sees many of them."""


@contextmanager
def memory_kept(most: float = math.inf) -> Iterator[None]:
    """Make allocations fail inside the block that take more than the budget has left.

    For the work of others, which looks at no budget: where it cannot be told beforehand how much it takes.

    Args:
        most: bytes, that it may not take in any case.
    """
    budget = _current.get()
    left = most if budget is None else min(most, max(budget.bytes_left, 0))
    with nullcontext() if math.isinf(left) else resources.limited_memory(int(left)):
        yield


def require_time(operations: float, *, matrices: bool = True) -> None:
    """Check that there is time for so many multiplications and additions, before they are begun.

    Args:
        operations: one is a multiplication and an addition.
        matrices: whether they are products of matrices in float64.

    Raises:
        BudgetExceeded: the fastest processor would not be done in the time that is left.
    """
    if operations / (_FASTEST if matrices else _FASTEST_SINGLE) > seconds_left():
        raise BudgetExceeded(
            f"{operations:.3g} multiplications take longer than the time allowed: use a smaller model or "
            "shape, or allow more with --timeout (timeout= in Python)"
        )


def _takes(shape: Sequence[int], nbytes: int) -> str:
    return f"a tensor of shape {tuple(int(size) for size in shape)} would take {nbytes / 2**30:.4g} GiB"


def _allowed(nbytes: float) -> str:
    return f"{nbytes / 2**30:.4g} GiB allowed: allow more with --max-memory (max_memory= in Python)"


def _resident() -> int:
    """Bytes of this process that are in memory; 0 where the system does not tell."""
    try:
        pages = _STATUS.read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
