"""A graph computed with certain kernels, deterministically: an arithmetic for the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.kernels.choice import KernelChoice
from normdeploy.kernels.number_types import as_stored
from normdeploy.reference.execution_plan import OperatorCall
from normdeploy.reference.rounded_numbers import RoundedNumbers, StorageErrors


@dataclass(frozen=True)
class MadeFor:
    """A choice, and where it is made.

    Args:
        choice: which.
        operators: for which; none stands for all.
        nodes: for which of their nodes; None stands for all.
    """

    choice: KernelChoice
    operators: frozenset[str] = frozenset()
    nodes: frozenset[ir.Node] | None = None

    def includes(self, node: ir.Node) -> bool:
        """Whether it is made for nodes of that operator, and for this one.

        Args:
            node: which.
        """
        named = not self.operators or node.op_type in self.operators
        return named and (self.nodes is None or node in self.nodes)

    def concerns(self, call: OperatorCall) -> bool:
        """Whether it is made for a node.

        Args:
            call: of the node.
        """
        return self.includes(call.node) and self.choice.concerns(call, self.operators)


@dataclass(frozen=True)
class KernelResults:
    """What a kernel makes of a node.

    Args:
        call: of the node.
        inputs: of the node; None for those left out.
        found: its results as its kernel computes and stores them.
        best: those of the best kernel on the same inputs; they may be the same arrays.
    """

    call: OperatorCall
    inputs: Sequence[Array | None]
    found: Sequence[Array]
    best: Sequence[Array]


OnKernel = Callable[[KernelResults], None]
"""Called with each node."""


class KernelArithmetic:
    """Every result is stored in its tensor's type; inside a node float64, except where a choice is made.

    With no choice it is the best kernel there can be. Give it to one run of an evaluator.

    Args:
        made: the choices. The first that computes a node anew does so, and all change operands and results.
        on_kernel: sees each node.
    """

    def __init__(self, made: Sequence[MadeFor] = (), on_kernel: OnKernel | None = None) -> None:
        self._choices = made
        self._on_kernel = on_kernel
        self._stored: set[ir.Value] = set()
        self.stored = StorageErrors(0, 1.0, RoundedNumbers())
        """Numbers of the file are exact: they have the types that kernels read."""

    def operands(self, call: OperatorCall, arguments: Sequence[Array | None]) -> list[Array | None]:
        """What a node's kernel takes of its inputs.

        Args:
            call: of the node.
            arguments: its inputs; None for those left out.
        """
        return self._taken(self._made(call), call, self._read(call, arguments))

    def results(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> list[Array]:
        """A node's outputs as its kernel computes and stores them.

        Args:
            call: of the node.
            arguments: its inputs, as they are for `operands`.
            results: what float64 makes of what `operands` made of these.
        """
        self._stored.update(call.node.outputs)
        made = self._made(call)
        if call.operator.rounding.exact and not made and self._on_kernel is None:
            return list(results)
        read = self._read(call, arguments)
        with np.errstate(all="ignore"):
            found = self._computed(made, call, read, results)
            if self._on_kernel is not None:
                best = _best(made, call, read, results) if made else found
                self._on_kernel(KernelResults(call, read, found, best))
        return found

    def _made(self, call: OperatorCall) -> list[KernelChoice]:
        return [made.choice for made in self._choices if made.concerns(call)]

    def _read(self, call: OperatorCall, arguments: Sequence[Array | None]) -> list[Array | None]:
        """The inputs in their types: what a function gives is not stored until it is read."""
        values = [*call.node.inputs, *[None] * len(arguments)]
        return [
            array
            if array is None or value is None or value.producer() is None or value in self._stored
            else as_stored(array, value)
            for value, array in zip(values, arguments, strict=False)
        ]

    @staticmethod
    def _taken(
        made: Sequence[KernelChoice], call: OperatorCall, read: Sequence[Array | None]
    ) -> list[Array | None]:
        taken = list(read)
        for choice in made:
            taken = choice.operands(call, taken)
        return taken

    def _computed(
        self,
        made: Sequence[KernelChoice],
        call: OperatorCall,
        read: Sequence[Array | None],
        results: Sequence[Array],
    ) -> list[Array]:
        anew = next((choice for choice in made if call.node.op_type in choice.emulations), None)
        if anew is not None:
            results = anew.computed(call, self._taken(made, call, read), results)
        found = _stored(call, results)
        for choice in made:
            found = choice.left(call, found)
        return found


def _best(
    made: Sequence[KernelChoice],
    call: OperatorCall,
    read: Sequence[Array | None],
    results: Sequence[Array],
) -> list[Array]:
    """What the best kernel makes of the inputs; `results` unless a choice has changed these."""
    if any(choice.operand is not None for choice in made) and not _has_bodies(call.node):
        exact = call.operator.function(*read, **call.keywords)
        results = [np.asarray(item) for item in (exact if isinstance(exact, tuple | list) else [exact])]
    return _stored(call, results)


def _has_bodies(node: ir.Node) -> bool:
    return any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())


def _stored(call: OperatorCall, results: Sequence[Array]) -> list[Array]:
    return [as_stored(array, value) for value, array in zip(call.node.outputs, results, strict=False)]
