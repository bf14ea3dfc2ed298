import numpy as np
import pytest

from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.profiling.feed import cache_bytes, make_feed, with_batch

IMAGE = DeclaredInput("x", np.dtype(np.float32), ("N", 3, 8, 8))
LENGTH = DeclaredInput("n", np.dtype(np.int64), ("N",))


def test_inputs_take_more_than_the_cache_and_none_is_zero():
    feed = make_feed([IMAGE, LENGTH], seed=0)
    assert sum(stack.nbytes for stack in feed.stacks.values()) >= 2 * cache_bytes()
    assert feed.shapes == {"x": (1, 3, 8, 8), "n": (1,)}
    assert feed.stacks["x"].shape[0] == feed.stacks["n"].shape[0]
    assert feed.stacks["x"].shape[1:] == (1, 3, 8, 8)
    assert np.abs(feed.stacks["x"]).max(axis=(1, 2, 3, 4)).min() > 0
    assert not np.array_equal(feed.stacks["x"][0], feed.stacks["x"][1])


def test_the_seed_decides():
    def first(seed):
        return make_feed([IMAGE], seed).stacks["x"][0]

    assert np.array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))


def test_a_batch_reaches_every_input():
    feed = make_feed(with_batch([IMAGE, LENGTH], 4), seed=0)
    assert feed.shapes == {"x": (4, 3, 8, 8), "n": (4,)}
    assert feed.rows == 4


def test_a_fixed_batch_is_refused_with_advice():
    fixed = DeclaredInput("x", np.dtype(np.float32), (1, 3, 8, 8))
    with pytest.raises(UsageError, match=r"--dynamic x:0"):
        with_batch([fixed], 4)
    with pytest.raises(UsageError, match="at least 1, got 0"):
        with_batch([IMAGE], 0)


def test_text_is_refused():
    with pytest.raises(InputError, match="holds text"):
        make_feed([DeclaredInput("s", np.dtype(object), (1,))], 0)


def test_a_model_without_inputs_has_an_empty_feed():
    feed = make_feed([], 0)
    assert (feed.shapes, feed.stacks, feed.rows) == ({}, {}, 1)


def test_a_scalar_input():
    feed = make_feed([DeclaredInput("s", np.dtype(np.float32), ())], 0)
    assert feed.shapes == {"s": ()}
    assert feed.rows == 1
