"""How many threads NumPy's linear algebra may use."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute with one thread until it is left; the number is as before when the last thread has left it.

    A network is many products of moderate size. Threads that share each of them wait for each other by
    spinning; where another process needs the cores, a backend for one, that costs many times what it gains.
    """
    global _blocks, _limit
    with _lock:
        if not _blocks:
            _limit = _controller().limit(limits=1, user_api="blas")
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks:
                _limit.restore_original_limits()


_lock = threading.Lock()
_blocks = 0
"""How many are being run, in all threads: the number of threads belongs to the process."""

_limit: Any = None
"""What sets the number back."""


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
