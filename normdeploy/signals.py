"""Signals that end a command become exceptions, so that every `finally` runs and nothing stays behind."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU,
    signal.SIGPOLL, signal.SIGPWR,
)  # fmt: skip
"""Those that end a process which does not handle them, and come from outside of it: from users, from timers,
from batch systems, which send SIGUSR1 or SIGXCPU before time is up."""

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
"""What Python starts with."""

_pending: list[int] = []
"""What arrived while nothing may be interrupted."""

_depth = 0
"""How many `undisturbed` blocks are being run."""


class Ended(BaseException):
    """A signal asked this process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def raised() -> Iterator[None]:
    """Raise `Ended` in the main thread when one of `ENDING` arrives; afterwards the handlers are as before.

    A signal that is ignored, as nohup has it for SIGHUP, stays ignored, and one that somebody handles stays
    theirs. In another thread than the main one, where Python allows no handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) in _DEFAULTS:
                before[number] = signal.signal(number, _on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a block run to its end before `Ended` is raised: what makes, or removes, something that stays."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0 and _pending:
            number = _pending[0]
            _pending.clear()
            raise Ended(number)


def _on_signal(number: int, _: FrameType | None) -> None:
    if _depth:
        _pending.append(number)
    else:
        raise Ended(number)


_SOON = 0.05
"""Seconds to the next ring at least: of an alarm that is due while nothing may be interrupted."""

_LATEST = 1e6
"""Seconds to the next ring at most; timers take no infinity."""

_AGAIN = 10.0
"""Seconds after which an alarm rings again whose exception somebody has swallowed, as a `__del__` does."""


class TimeIsUp(BaseException):
    """An alarm has rung; no `except Exception` on the way stops it."""


class Alarm:
    """Rings in the main thread once no time is left.

    Args:
        seconds_left: until then; may grow in the meantime.
    """

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        self._seconds_left = seconds_left
        self._due = 0.0

    def set(self) -> None:
        """Ring when no time will be left as far as is known now; to be called when it has become shorter."""
        self._ring_in(min(max(self._seconds_left(), _SOON), _LATEST))

    def _ring_in(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def ring(self, number: int, frame: FrameType | None) -> None:
        """What SIGALRM calls.

        Raises:
            TimeIsUp: no time is left, and this may be interrupted.
            Ended: the signal is from outside.
        """
        if time.monotonic() < self._due:
            _on_signal(number, frame)
        elif _depth or self._seconds_left() > 0:
            self.set()
        else:
            self._ring_in(_AGAIN)
            raise TimeIsUp

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Ring again at once where Python swallows it and would print so: in a `__del__`, in a callback."""
        before = sys.unraisablehook

        def hook(swallowed: sys.UnraisableHookArgs) -> None:
            if swallowed.exc_type is TimeIsUp:
                self._ring_in(_SOON)
            else:
                before(swallowed)

        sys.unraisablehook = hook
        try:
            yield
        finally:
            sys.unraisablehook = before


@contextmanager
def alarmed(seconds_left: Callable[[], float]) -> Iterator[Alarm | None]:
    """Raise `TimeIsUp` inside the block, in whatever Python code it is, once no time is left.

    Native code is interrupted when it returns. In another thread than the main one, where Python allows no
    handlers, and where somebody else uses SIGALRM or its timer, this does nothing.

    Args:
        seconds_left: until then.

    Yields:
        The alarm; None where there is none.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, _on_signal)
        or any(signal.getitimer(signal.ITIMER_REAL))
    ):
        yield None
        return
    alarm = Alarm(seconds_left)
    before = signal.signal(signal.SIGALRM, alarm.ring)
    try:
        alarm.set()
        with alarm.heard():
            yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
