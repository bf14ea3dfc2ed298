"""Signals that end a command become exceptions, so that every `finally` runs and nothing stays behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask a command to end."""

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

    A signal that is ignored, as nohup has it for SIGHUP, stays ignored. In another thread than the main one,
    where Python allows no handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
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
