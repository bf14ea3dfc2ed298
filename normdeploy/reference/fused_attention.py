"""onnxruntime's attention layers, in matrix products and a softmax.

The definitions are those of onnxruntime's ContribOperators.md. What a language model's cache needs (a past, a
present, rotary embeddings inside) is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference.composition import HELPERS, BodyWriter, composition
from normdeploy.reference.fused import DOMAIN
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import operator


@dataclass(frozen=True)
class _Form:
    """How an attention layer weighs keys.

    Attributes:
        num_heads: into how many the hidden size is divided.
        scale: of the scores; None for 1/√(size of a head).
        causal: whether a position sees none that come after it.
        padding: (batch, length), 0 where a key is padding; None without any.
        masked: what is added to the scores of keys that are not seen.
        bias: of the scores; None without one.
    """

    num_heads: int
    scale: float | None
    causal: bool
    padding: ir.Value | None
    masked: float
    bias: ir.Value | None


@composition("Attention", domain=DOMAIN)
def attention(
    write: BodyWriter,
    x: ir.Value,
    weights: ir.Value,
    bias: ir.Value | None = None,
    mask_index: ir.Value | None = None,
    past: ir.Value | None = None,
    attention_bias: ir.Value | None = None,
    past_sequence_length: ir.Value | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] | None = None,
    rotary_embedding_dim: int = 0,
    scale: float | None = None,
    unidirectional: int = 0,
    n_outputs: int = 1,
) -> ir.Value:
    """Self-attention whose queries, keys and values are one product of x with `weights`.

    x: (batch, length, hidden), weights: (hidden, q + k + v) -> (batch, length, v).
    """
    if past is not None or past_sequence_length is not None or do_rotary or n_outputs > 1:
        raise NotImplementedError("attention with a past, a present or rotary embeddings")
    product = write("MatMul", x, weights)
    if bias is not None:
        product = write("Add", product, bias)
    if qkv_hidden_sizes:
        parts = write.several("Split", 3, product, write.constant(qkv_hidden_sizes, "int64"), axis=-1)
    else:
        parts = write.several("Split", 3, product, axis=-1, num_outputs=3)
    form = _Form(num_heads, scale, bool(unidirectional), mask_index, mask_filter_value, attention_bias)
    return _attended(write, parts, form)


@composition("MultiHeadAttention", domain=DOMAIN)
def multi_head_attention(
    write: BodyWriter,
    query: ir.Value,
    key: ir.Value | None = None,
    value: ir.Value | None = None,
    bias: ir.Value | None = None,
    key_padding_mask: ir.Value | None = None,
    attention_bias: ir.Value | None = None,
    past_key: ir.Value | None = None,
    past_value: ir.Value | None = None,
    past_sequence_length: ir.Value | None = None,
    cache_indirection: ir.Value | None = None,
    *,
    num_heads: int,
    mask_filter_value: float = -10000.0,
    scale: float | None = None,
    unidirectional: int = 0,
    n_outputs: int = 1,
) -> ir.Value:
    """Attention of (batch, length, hidden) queries to keys and values of that form; bias: of all three."""
    cache = (past_key, past_value, past_sequence_length, cache_indirection)
    if key is None or value is None or n_outputs > 1 or any(item is not None for item in cache):
        raise NotImplementedError("attention with packed inputs, a past or a present")
    parts: Sequence[ir.Value] = [query, key, value]
    if bias is not None:
        sizes = write("Concat", *(write("Shape", part, start=-1) for part in parts), axis=0)
        biases = write.several("Split", 3, bias, sizes, axis=0)
        parts = [write("Add", part, own) for part, own in zip(parts, biases, strict=True)]
    form = _Form(num_heads, scale, bool(unidirectional), key_padding_mask, mask_filter_value, attention_bias)
    return _attended(write, parts, form)


def _attended(write: BodyWriter, parts: Sequence[ir.Value], form: _Form) -> ir.Value:
    """softmax(scale · Q Kᵀ + bias + mask) V of each head; parts: Q, K, V, (batch, length, heads · size)."""
    query, key, value = (_heads(write, part, form.num_heads) for part in parts)
    scores = write("MatMul", query, write("Transpose", key, perm=[0, 1, 3, 2]))
    if form.scale is None:
        size = write("Cast", write("Shape", query, start=3, end=4), to=int(ir.DataType.FLOAT))
        factor = write("Reciprocal", write("Sqrt", size))
    else:
        factor = write.constant(form.scale)
    scores = write("Mul", scores, factor)
    if form.bias is not None:
        scores = write("Add", scores, form.bias)
    if form.padding is not None:
        padding = write("PaddingBias", form.padding, domain=HELPERS, masked=form.masked)
        scores = write("Add", scores, padding)
    if form.causal:
        full = write("ConstantOfShape", write("Shape", scores), value=ir.tensor([form.masked]))
        scores = write("Add", scores, write("Trilu", full, write.constant(1, "int64"), upper=1))
    joined = write("Transpose", write("MatMul", write("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
    return write("Reshape", joined, write.constant([0, 0, -1], "int64"))


def _heads(write: BodyWriter, x: ir.Value, num_heads: int) -> ir.Value:
    """(batch, length, heads · size) -> (batch, heads, length, size)."""
    split = write("Reshape", x, write.constant([0, 0, num_heads, -1], "int64"))
    return write("Transpose", split, perm=[0, 2, 1, 3])


@operator("PaddingBias", since=1, domain=HELPERS, rounding=EXACT)
def padding_bias(mask: Array, *, masked: float) -> Array:
    """`masked` where the mask, (batch, length), is 0, else 0: (batch, 1, 1, length)."""
    if mask.ndim != 2:
        raise NotImplementedError("an attention mask of another form than (batch, length)")
    return np.where(mask == 0, masked, 0.0)[:, None, None, :]
