"""Work that several cores share: begun early, waited for late, and the same whoever does it.

A `Task` is computed once, by the thread that asks for its result, or before that by a helper. Helpers are
threads that `helpers` lends to the block inside, one for each core but that of the calling thread; without
them, or on a machine with one core, each task is computed when its result is asked for. Threads help where
the work is done in native code that lets others run, as NumPy's is.

The order in which tasks end decides nothing: a task shares no state with another, and none waits for another.
One that finds no memory beside the others is computed again alone. What ends the block, an error or a signal,
ends the helpers, too: `require_wanted`, called between the steps of the work, is where they stop, and what
does not call it is interrupted as an alarm interrupts the main thread.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from normdeploy.errors import BudgetExceeded
from normdeploy.resources import usable_cpus

_T = TypeVar("_T")

_GRACE_SECONDS = 0.5
"""That a helper has to stop by itself; it looks every few milliseconds in most work."""


class NotWanted(BaseException):
    """Nobody waits for this work any more; no `except Exception` on the way stops it."""


class Task(Generic[_T]):
    """Something to compute, once.

    Args:
        work: computes it, in the context variables that hold now.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._context = copy_context()
        self._taken = threading.Lock()
        self._ended = threading.Event()
        self._results: list[_T] = []
        self._error: BaseException | None = None

    def begin(self) -> Task[_T]:
        """Let a helper compute it, if there are any and it has not been computed.

        Returns:
            The task itself.
        """
        team = _team.get()
        if team is not None:
            team.offer(self)
        return self

    def result(self) -> _T:
        """What the work gives; while another thread is at it, this one computes other tasks.

        Raises:
            Exception: what the work raised.
        """
        team = _team.get()
        while not self._ended.is_set():
            if self.take():
                self.run()
            elif team is None or not team.help():
                self._ended.wait()
        if isinstance(self._error, BudgetExceeded) and team is not None and not _computing():
            with team.resting():
                return self._context.copy().run(self._work)
        if self._error is not None:
            raise self._error
        return self._results[0]

    def take(self) -> bool:
        """Whether it is now this thread's to `run`, since no other had taken it."""
        return self._taken.acquire(blocking=False)

    def leave(self) -> None:
        """Let others take it again."""
        self._taken.release()

    def wait(self) -> bool:
        """Wait until it has been computed."""
        return self._ended.wait()

    def run(self) -> None:
        """Compute it, having taken it."""
        outer = _computing()
        _serving.computing = True
        try:
            self._results.append(self._context.run(self._work))
        except Exception as error:
            self._error = error
        except BaseException as error:  # a signal; whoever else waits ends, too
            self._error = error
            raise
        finally:
            _serving.computing = outer
            self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether it has been computed."""
        return self._ended.is_set()


@contextmanager
def helpers() -> Iterator[int]:
    """Lend threads to the tasks that the block inside begins; inside another such block, that one's.

    Yields:
        How many there are.
    """
    outer = _team.get()
    if outer is not None:
        yield outer.size
        return
    team = _Team(usable_cpus() - 1)
    token = _team.set(team)
    try:
        yield team.size
    finally:
        _team.reset(token)
        team.dismiss()


def require_wanted() -> None:
    """Stop, in a helper whose work nobody waits for any more.

    Raises:
        NotWanted: it is.
    """
    team: _Team | None = getattr(_serving, "team", None)
    if team is not None and team.dismissed:
        raise NotWanted


class _Team:
    """The helpers of one block; a thread is started when a task is begun that it could compute."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.dismissed = False
        self._waiting: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self._offered: list[Task[Any]] = []
        self._held: list[Task[Any]] = []
        self._threads: list[threading.Thread] = []

    def offer(self, task: Task[Any]) -> None:
        """Have a task computed when a helper is free."""
        self._offered = [each for each in self._offered if not each.ended]
        if not self.size or self.dismissed or task.ended or task in self._offered:
            return
        self._offered.append(task)
        self._waiting.put(task)
        if len(self._threads) < self.size:
            thread = threading.Thread(target=self._serve, name="normdeploy-helper", daemon=True)
            self._threads.append(thread)
            thread.start()

    def help(self) -> bool:
        """Compute a task that waits; False if none does."""
        with suppress(Empty):
            while True:
                task = self._waiting.get_nowait()
                if task is not None and task.take():
                    task.run()
                    return True
        return False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Wait until the helpers are done with what they are at, and give them nothing else inside."""
        held: list[Task[Any]] = []
        try:
            for task in self._offered:
                if task.take():
                    held.append(task)
                    self._held.append(task)
                elif task not in self._held:  # of a block outside, which nobody computes meanwhile
                    task.wait()
            yield
        finally:
            for task in held:
                self._held.remove(task)
                task.leave()
                self._waiting.put(task)

    def dismiss(self) -> None:
        """End the threads."""
        self.dismissed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(_GRACE_SECONDS)
            while thread.is_alive():
                _interrupt(thread)
                thread.join(_GRACE_SECONDS)

    def _serve(self) -> None:
        _serving.team = self
        with suppress(NotWanted):
            while (task := self._waiting.get()) is not None and not self.dismissed:
                if task.take():
                    task.run()


def _interrupt(thread: threading.Thread) -> None:
    """Raise `NotWanted` in a thread, in whatever Python code it is."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(NotWanted))


_team: ContextVar[_Team | None] = ContextVar("_team", default=None)
"""Whose threads help with the tasks that are begun here."""

_serving = threading.local()
"""`team` is the one that this thread is a helper of, `computing` whether it is at a task."""


def _computing() -> bool:
    """Whether this thread is at a task, which then must not wait for the others: one may wait for it."""
    return bool(getattr(_serving, "computing", False))
