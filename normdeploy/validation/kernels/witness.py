"""What kernels do to the results of single nodes, seen while the graph is computed with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating
from normdeploy.kernels import KernelChoice
from normdeploy.kernels.arithmetic import KernelResults
from normdeploy.kernels.number_types import storage


@dataclass(frozen=True)
class Sighting:
    """The results of a node, against those of the best kernel on the same inputs.

    Args:
        elements: how many.
        lost: those that are not finite and should be.
        vanished: those that are 0 and should not be.
        error: the largest error of the others, over the root mean square of what is right.
        roundings: the same over the unit roundoff of the tensor's type.
    """

    elements: int = 0
    lost: int = 0
    vanished: int = 0
    error: float = 0.0
    roundings: float = 0.0

    def __add__(self, other: Sighting) -> Sighting:
        return Sighting(
            self.elements + other.elements,
            self.lost + other.lost,
            self.vanished + other.vanished,
            max(self.error, other.error),
            max(self.roundings, other.roundings),
        )

    @property
    def badness(self) -> tuple[int, float]:
        """Nodes with larger ones are looked at first."""
        return self.lost + self.vanished, self.roundings

    def __str__(self) -> str:
        if self.lost:
            return f"{self.lost:,} of {self.elements:,} results are not finite"
        if self.vanished:
            return f"{self.vanished:,} of {self.elements:,} results become 0"
        return f"results are off by up to {self.error:.2g} of their root mean square"


class Witness:
    """Give its `on_kernel` to a `KernelArithmetic`; it adds up what it sees of each node."""

    def __init__(self) -> None:
        self.seen: dict[ir.Node, Sighting] = {}

    def on_kernel(self, results: KernelResults) -> None:
        """Look at a node.

        Args:
            results: what its kernel makes of it.
        """
        node = results.call.node
        for value, array, right in zip(node.outputs, results.found, results.best, strict=False):
            if array is not right and is_floating(array.dtype) and array.size:
                unit = storage(value).unit_roundoff
                self.seen[node] = self.seen.get(node, Sighting()) + _sighting(array, right, unit)


class Overflows:
    """Notes the nodes whose results leave their type although their inputs are finite."""

    def __init__(self) -> None:
        self.seen: dict[ir.Node, Sighting] = {}

    def on_kernel(self, results: KernelResults) -> None:
        """Look at a node.

        Args:
            results: what its kernel makes of it.
        """
        node = results.call.node
        if all(array is None or _all_finite(array) for array in results.inputs):
            for array in results.found:
                if is_floating(array.dtype) and not _all_finite(array):
                    lost = int(np.count_nonzero(~np.isfinite(array)))
                    self.seen[node] = self.seen.get(node, Sighting()) + Sighting(array.size, lost)


class Concerned:
    """Notes which operators there are, and which nodes each choice concerns on this data.

    Args:
        choices: of which to note it.
    """

    def __init__(self, choices: Sequence[KernelChoice]) -> None:
        self.operators: set[str] = set()
        self.nodes: dict[KernelChoice, set[ir.Node]] = {choice: set() for choice in choices}

    def on_kernel(self, results: KernelResults) -> None:
        """Look at a node.

        Args:
            results: what its kernel makes of it.
        """
        call = results.call
        self.operators.add(call.node.op_type)
        for choice, nodes in self.nodes.items():
            concerned = call.node not in nodes and choice.concerns(call, choice.operators)
            if concerned and choice.matters(call, results.inputs, results.found):
                nodes.add(call.node)


def _all_finite(array: Array) -> bool:
    return not is_floating(array.dtype) or bool(np.isfinite(array).all())


def _sighting(found: Array, right: Array, unit: float) -> Sighting:
    finite = np.isfinite(right)
    lost = int(np.count_nonzero(finite & ~np.isfinite(found)))
    vanished = int(np.count_nonzero((found == 0) & (right != 0) & finite))
    both = finite & np.isfinite(found)
    if not both.any():
        return Sighting(found.size, lost, vanished)
    size = float(np.sqrt(np.mean(np.square(right[both]))))
    error = float(np.max(np.abs(found[both] - right[both]))) / size if size else 0.0
    return Sighting(found.size, lost, vanished, error, error / unit)
