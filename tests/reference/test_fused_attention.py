"""onnxruntime's attention layers against onnxruntime itself."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy.errors import UnsupportedOperator
from normdeploy.reference import evaluate
from tests.reference.against_onnxruntime import assert_as_onnxruntime, single_node


def normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("masked", [False, True])
def test_attention(seed, masked):
    random = np.random.default_rng(seed)
    heads, size, length, hidden = (int(number) for number in random.integers(1, 5, 4))
    x, weights = normal(random, 2, length, hidden), normal(random, hidden, 3 * heads * size)
    mask = None
    if masked:
        mask = (np.arange(length) < np.array([[length], [max(1, length - 1)]])).astype(np.int32)
    inputs = [x, weights, normal(random, 3 * heads * size), mask]
    assert_as_onnxruntime("Attention", inputs, num_heads=heads)
    assert_as_onnxruntime("Attention", inputs, num_heads=heads, scale=0.3)
    if not masked:
        assert_as_onnxruntime("Attention", inputs[:3], num_heads=heads, unidirectional=1)
        added = normal(random, 2, heads, length, length)
        assert_as_onnxruntime("Attention", [*inputs[:3], None, None, added], num_heads=heads)
        weights, bias = normal(random, hidden, heads * (2 * size + 2)), normal(random, heads * (2 * size + 2))
        sizes = [heads * size, heads * size, heads * 2]
        assert_as_onnxruntime("Attention", [x, weights, bias], num_heads=heads, qkv_hidden_sizes=sizes)


@pytest.mark.parametrize("seed", range(4))
def test_multi_head_attention(seed):
    random = np.random.default_rng(seed)
    heads, size, length, keys = (int(number) for number in random.integers(1, 5, 4))
    query = normal(random, 2, length, heads * size)
    key, value = normal(random, 2, keys, heads * size), normal(random, 2, keys, heads * 3)
    bias = normal(random, heads * (2 * size + 3))
    mask = (np.arange(keys) < np.array([[keys], [max(1, keys - 1)]])).astype(np.int32)
    assert_as_onnxruntime("MultiHeadAttention", [query, key, value], num_heads=heads)
    assert_as_onnxruntime("MultiHeadAttention", [query, key, value, bias], num_heads=heads, scale=0.7)
    assert_as_onnxruntime("MultiHeadAttention", [query, key, value, None, mask], num_heads=heads)
    added = normal(random, 2, heads, length, keys)
    assert_as_onnxruntime("MultiHeadAttention", [query, key, value, bias, None, added], num_heads=heads)


def test_forms_that_are_not_computed_are_refused():
    x = np.zeros((1, 2, 4), np.float32)
    model, feeds = single_node("MultiHeadAttention", [x], rank=3, num_heads=2)
    with pytest.raises(UnsupportedOperator, match=r"node 'node' .*attention with packed inputs"):
        evaluate(model, feeds)
    lengths = np.array([1], np.int32)
    model, feeds = single_node("MultiHeadAttention", [x, x, x, None, lengths], rank=3, num_heads=2)
    with pytest.raises(UnsupportedOperator, match=r"another form than \(batch, length\)"):
        evaluate(model, feeds)
    past = np.zeros((2, 1, 2, 1, 2), np.float32)
    weights = np.zeros((4, 12), np.float32)
    model, feeds = single_node("Attention", [x, weights, None, None, past], rank=3, num_heads=2)
    with pytest.raises(UnsupportedOperator, match="attention with a past"):
        evaluate(model, feeds)
