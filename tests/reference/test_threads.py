"""One thread for linear algebra, and the caller's number after it."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from normdeploy.reference.threads import one_blas_thread


def threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {item["num_threads"] for item in threadpool_info() if item["user_api"] == "blas"}


@pytest.mark.skipif(not threads(), reason="a linear algebra library whose threads cannot be counted")
def test_one_thread_inside_and_as_many_as_before_outside():
    with threadpool_limits(2, "blas"):
        assert threads() == {2}
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {2}


@pytest.mark.skipif(not threads(), reason="a linear algebra library whose threads cannot be counted")
def test_the_number_comes_back_when_the_last_of_several_threads_is_done():
    first, second = one_blas_thread(), one_blas_thread()
    with threadpool_limits(2, "blas"):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}
