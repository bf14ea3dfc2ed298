"""Which tensors of two graphs differ at all, in float64."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison

_FLOAT64_NOISE = 2.0**-40
"""Of a tensor's largest number: what sums in another order may differ by, of millions of terms."""


@dataclass(frozen=True)
class Differences:
    """The tensors that two graphs compute on the same inputs.

    Args:
        same: name -> comparison of those that are equal, but for what float64 itself rounds.
        differing: name -> bytes of the others.
    """

    same: Mapping[str, TensorComparison]
    differing: Mapping[str, int]


def differences(
    deployed: Evaluator,
    original: Evaluator,
    inputs: Mapping[str, Array],
    names: Collection[str],
    limit: int,
) -> Differences:
    """Compute both graphs, and compare tensors of the same name.

    Args:
        deployed, original: the graphs.
        inputs: of both.
        names: of tensors that nodes of both main graphs compute.
        limit: bytes of tensors that are held at once; where they take more, graphs are computed again.

    Raises:
        NormdeployError: the reference cannot compute one of them.
    """
    same: dict[str, TensorComparison] = {}
    differing: dict[str, int] = {}
    left = set(names)
    while left:
        restart_clock()
        held = _held(original, inputs, left, limit)

        def compare(node: ir.Node, results: Sequence[Array], held: dict[str, Array] = held) -> None:
            for name, array in _named(node, results, held):
                expected = held.pop(name)
                if _is_same(array, expected):
                    same[name] = TensorComparison(array.size, max_abs_error=_largest_error(array, expected))
                else:
                    differing[name] = array.nbytes

        done = set(held)
        deployed.run(inputs, outputs=sorted(done), on_node=compare)
        left -= done
    return Differences(same, differing)


def _held(evaluator: Evaluator, inputs: Mapping[str, Array], names: set[str], limit: int) -> dict[str, Array]:
    """The first of these tensors, as many as fit; one at least."""
    held: dict[str, Array] = {}
    taken = 0

    def hold(node: ir.Node, results: Sequence[Array]) -> None:
        nonlocal taken
        for name, array in _named(node, results, names):
            if not held or taken + array.nbytes <= limit:
                held[name] = array
                taken += array.nbytes

    evaluator.run(inputs, outputs=sorted(names), on_node=hold)
    return held


def _named(node: ir.Node, results: Sequence[Array], names: Collection[str]) -> Iterable[tuple[str, Array]]:
    pairs = zip(node.outputs, results, strict=False)
    return [(value.name, np.asarray(array)) for value, array in pairs if value.name and value.name in names]


def _is_same(actual: Array, expected: Array) -> bool:
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return False
    if actual.dtype != np.float64:
        return bool(np.array_equal(actual, expected))
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(actual)):
        return False
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        return False
    size = float(np.max(np.abs(expected), initial=0.0, where=finite))
    return _largest_error(actual, expected) <= _FLOAT64_NOISE * size


def _largest_error(actual: Array, expected: Array) -> float:
    if actual.dtype != np.float64:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.abs(actual - expected), initial=0.0, where=np.isfinite(expected)))
