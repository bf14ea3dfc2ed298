"""If, Loop and Scan. A body sees the tensors of the graphs around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import EXACT
from normdeploy.reference.signature import Body, operator


@operator("If", since=1, rounding=EXACT)
def if_(condition: Array, *, then_branch: Body, else_branch: Body) -> Sequence[Array]:
    """The outputs of one of two subgraphs, of which only that one is computed."""
    return then_branch() if condition.item() else else_branch()


@operator("Loop", since=1, rounding=EXACT)
def loop(
    trip_count: Array | None = None,
    condition: Array | None = None,
    *initial: Array,
    body: Body,
    n_outputs: int = 1,
) -> Sequence[Array]:
    """The body maps (iteration, condition, *state) to (condition, *state, *scanned).

    It runs up to `trip_count` times while the condition holds; the results are the last state, and each
    scanned tensor stacked over the iterations.
    """
    state = list(initial)
    scanned: list[list[Array]] = []
    going = condition is None or bool(condition.item())
    for iteration in _iterations(trip_count):
        if not going:
            break
        again, *results = body(np.asarray(iteration, dtype=np.int64), np.asarray(going), *state)
        going = bool(again.item())
        state = results[: len(initial)]
        scanned.append(results[len(initial) :])
    if not scanned and n_outputs > len(initial):
        raise NotImplementedError("scanned outputs of a loop that never runs")
    return [*state, *(_stacked(items) for items in zip(*scanned, strict=True))]


def _iterations(trip_count: Array | None) -> Iterator[int]:
    return count() if trip_count is None else iter(range(int(trip_count.item())))


def _stacked(items: Sequence[Array]) -> Array:
    require_memory((len(items), *items[0].shape), items[0].itemsize)
    return np.stack(items)


@operator("Scan", since=9, rounding=EXACT)
def scan(
    *inputs: Array,
    body: Body,
    num_scan_inputs: int,
    scan_input_axes: Sequence[int] | None = None,
    scan_input_directions: Sequence[int] | None = None,
    scan_output_axes: Sequence[int] | None = None,
    scan_output_directions: Sequence[int] | None = None,
) -> Sequence[Array]:
    """The body maps (*state, one slice of each scan input) to (*state, one slice of each scan output).

    A direction of 1 goes through (or fills) an axis from its end.
    """
    n_state = len(inputs) - num_scan_inputs
    state, sequences = list(inputs[:n_state]), inputs[n_state:]
    axes = scan_input_axes or [0] * num_scan_inputs
    directions = scan_input_directions or [0] * num_scan_inputs
    # the scanned axis first, in the order in which it is gone through
    steps = [
        np.moveaxis(np.flip(x, axis) if backwards else x, axis, 0)
        for x, axis, backwards in zip(sequences, axes, directions, strict=True)
    ]
    scanned: list[list[Array]] = []
    for slices in zip(*steps, strict=True):
        results = body(*state, *slices)
        state = results[:n_state]
        scanned.append(results[n_state:])
    outputs = [_stacked(items) for items in zip(*scanned, strict=True)]
    output_axes = scan_output_axes or [0] * len(outputs)
    output_directions = scan_output_directions or [0] * len(outputs)
    stacked = [
        np.moveaxis(np.flip(y, 0) if backwards else y, 0, axis)
        for y, axis, backwards in zip(outputs, output_axes, output_directions, strict=True)
    ]
    return [*state, *stacked]
