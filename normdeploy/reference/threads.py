"""How many threads NumPy's linear algebra may use."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[object]:
    """Compute with one thread until it is left.

    A network is many products of moderate size. Threads that share each of them wait for each other by
    spinning; where another process needs the cores, a backend for one, that costs many times what it gains.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
