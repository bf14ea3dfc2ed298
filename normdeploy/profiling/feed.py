"""Inputs to time a model with: random, and more of them than the processor's cache can hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normdeploy.errors import InputError, UsageError
from normdeploy.graph.shapes import format_dims
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_SIZE = re.compile(r"(\d+)([KM]?)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20}
_ASSUMED_CACHE = 32 * 2**20

_TIMES_THE_CACHE = 2
"""A cache that replaces what was used longest ago holds nothing of an input when its turn comes again, once
the inputs take more than it; twice as much leaves room for the weights and for other replacement."""


@dataclass(frozen=True)
class Feed:
    """What a model is run on.

    Args:
        shapes: of one set of inputs, by name.
        stacks: several sets of inputs, stacked along a new first axis, by name.
        rows: how many samples one run takes: the common first dimension, else 1.
    """

    shapes: Mapping[str, tuple[int, ...]]
    stacks: Mapping[str, NDArray[Any]]
    rows: int


def make_feed(inputs: Sequence[DeclaredInput], seed: int) -> Feed:
    """Random inputs that together take twice the last-level cache.

    Args:
        inputs: what the model declares, with the sizes that are given.
        seed: of the random numbers.

    Raises:
        InputError: an input of unknown size, or one that holds text.
    """
    for declared in inputs:
        if declared.dtype.kind == "O":
            raise InputError(f"input '{declared.name}' holds text: only models of numbers can be profiled")
    names = batch_names(inputs)
    shapes = {declared.name: resolved_shape(declared, names) for declared in inputs}
    nbytes = sum(math.prod(shapes[item.name]) * item.dtype.itemsize for item in inputs)
    slots = max(2, math.ceil(_TIMES_THE_CACHE * cache_bytes() / max(nbytes, 1))) if nbytes else 1
    rng = np.random.default_rng(seed)
    stacks = {
        declared.name: random_array(declared, (slots, *shapes[declared.name]), 0, rng) for declared in inputs
    }
    return Feed(shapes, stacks, _rows(shapes))


def with_batch(inputs: Sequence[DeclaredInput], batch: int) -> list[DeclaredInput]:
    """The inputs at another batch size: the first axis of each, and every axis of the same name.

    Args:
        inputs: what the model declares.
        batch: samples per run.

    Raises:
        UsageError: a size below 1, or a model whose batch is fixed.
    """
    if batch < 1:
        raise UsageError(f"a batch must be at least 1, got {batch}")
    names = batch_names(inputs)
    if not any(item.dims and not isinstance(item.dims[0], int) for item in inputs):
        fixed = next((item for item in inputs if item.dims), None)
        what = f": input '{fixed.name}' is {format_dims(fixed.dims)}" if fixed else ""
        raise UsageError(
            f"the model's batch is fixed{what}; export it with "
            f"--dynamic {fixed.name if fixed else 'NAME'}:0 to try other sizes"
        )
    return [
        replace(
            item,
            dims=item.dims
            and tuple(
                batch if dim in names or (axis == 0 and dim is None) else dim
                for axis, dim in enumerate(item.dims)
            ),
        )
        for item in inputs
    ]


def cache_bytes() -> int:
    """Size of the processor's last-level cache; 32 MiB where the system does not tell."""
    found = [_ASSUMED_CACHE]
    sizes = [path.read_text().strip() for path in _CACHES.glob("index*/size")]
    parsed = [match for match in map(_SIZE.fullmatch, sizes) if match]
    if parsed:
        found = [int(match[1]) * _UNITS[match[2]] for match in parsed]
    return max(found)


def _rows(shapes: Mapping[str, tuple[int, ...]]) -> int:
    first = {shape[0] for shape in shapes.values() if shape}
    return first.pop() if len(first) == 1 else 1
