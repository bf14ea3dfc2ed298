"""Sequences of tensors, and optionals: a value that may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget, require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import Body, Missing, TensorSequence, Value, operator


@operator("SequenceConstruct", since=11, rounding=EXACT)
def sequence_construct(*inputs: Array) -> TensorSequence:
    """A sequence of the inputs."""
    return TensorSequence(inputs)


@operator("SequenceEmpty", since=11, rounding=EXACT)
def sequence_empty(*, dtype: int = 1) -> TensorSequence:
    """A sequence of nothing."""
    return TensorSequence(())


@operator("SequenceLength", since=11, rounding=EXACT)
def sequence_length(sequence: TensorSequence) -> Array:
    """How many tensors a sequence has."""
    return np.asarray(len(sequence.items), dtype=np.int64)


@operator("SequenceAt", since=11, rounding=EXACT)
def sequence_at(sequence: TensorSequence, position: Array) -> Array:
    """The tensor at a position, which counts from the end if it is negative."""
    return sequence.items[_position(position, len(sequence.items))]


@operator("SequenceInsert", since=11, rounding=EXACT)
def sequence_insert(sequence: TensorSequence, tensor: Array, position: Array | None = None) -> TensorSequence:
    """A tensor put before the one at a position, at the end by default."""
    items = list(sequence.items)
    place = len(items) if position is None else _position(position, len(items), end=True)
    return TensorSequence((*items[:place], tensor, *items[place:]))


@operator("SequenceErase", since=11, rounding=EXACT)
def sequence_erase(sequence: TensorSequence, position: Array | None = None) -> TensorSequence:
    """All but the tensor at a position, the last one by default."""
    items = sequence.items
    place = _position(np.asarray(-1) if position is None else position, len(items))
    return TensorSequence((*items[:place], *items[place + 1 :]))


def _position(position: Array, length: int, *, end: bool = False) -> int:
    """A position from the start; `end` lets it lie behind the last tensor."""
    place = int(position.item())
    if not -length <= place < length + end:
        raise IndexError(f"position {place} in a sequence of {length}")
    return place + length if place < 0 else place


@operator("SplitToSequence", since=11, rounding=EXACT)
def split_to_sequence(
    x: Array, split: Array | None = None, *, axis: int = 0, keepdims: int = 1
) -> TensorSequence:
    """x in pieces along an axis: slices of it (without the axis if keepdims is 0), or of given lengths.

    `split` gives each piece its length, or all the same one, of which the last piece may have less.
    """
    length = x.shape[axis]
    _require_pieces(length, split)
    if split is None:
        pieces = np.split(x, length, axis) if length else []
        return TensorSequence(tuple(pieces if keepdims else [np.squeeze(piece, axis) for piece in pieces]))
    if split.ndim == 0:
        if split.item() <= 0:
            raise ValueError(f"pieces of length {split.item()}")
        return TensorSequence(tuple(np.split(x, range(int(split.item()), length, int(split.item())), axis)))
    if split.sum() != length or np.any(split < 0):
        raise ValueError(f"pieces of lengths {split.tolist()} of an axis of {length}")
    return TensorSequence(tuple(np.split(x, np.cumsum(split)[:-1], axis)))


_PIECE_BYTES = 256
"""Of memory for an array that is a part of another one, with its slice and its place in a list."""


def _require_pieces(length: int, split: Array | None) -> None:
    """Check that the pieces fit, of which a few bytes may ask for many millions."""
    each = 1 if split is None else max(int(split.item()), 1) if split.ndim == 0 else None
    count = split.size if split is not None and each is None else -(-length // (each or 1))
    require_memory((count,), _PIECE_BYTES)


@operator("ConcatFromSequence", since=11, rounding=EXACT)
def concat_from_sequence(sequence: TensorSequence, *, axis: int, new_axis: int = 0) -> Array:
    """The tensors joined along an axis, or stacked along a new one."""
    items = sequence.items
    require_memory((sum(item.size for item in items),))
    return np.stack(items, axis) if new_axis else np.concatenate(items, axis)


@operator("SequenceMap", since=17, rounding=EXACT)
def sequence_map(
    first: TensorSequence, *others: TensorSequence | Array, body: Body
) -> Sequence[TensorSequence]:
    """The body's outputs for each position of the sequences, each a sequence; tensors go to each position."""
    results = []
    for position, item in enumerate(first.items):
        check_budget()
        rest = [other.items[position] if isinstance(other, TensorSequence) else other for other in others]
        results.append(body(item, *rest))
    if not results:
        raise NotImplementedError("a SequenceMap over an empty sequence")
    return [TensorSequence(tuple(outputs)) for outputs in zip(*results, strict=True)]


@operator("Optional", since=15, rounding=EXACT)
def optional(value: Value | None = None, *, type: Any = None) -> Value:  # noqa: A002
    """The input itself, or that it is missing."""
    return Missing() if value is None else value


@operator("OptionalHasElement", since=15, rounding=EXACT)
def optional_has_element(value: Value | None = None) -> Array:
    """Whether the input is there."""
    return np.asarray(value is not None and not isinstance(value, Missing))


@operator("OptionalGetElement", since=15, rounding=EXACT)
def optional_get_element(value: Value) -> Value:
    """The input, which has to be there."""
    if isinstance(value, Missing):
        raise ValueError("an optional without an element")
    return value
