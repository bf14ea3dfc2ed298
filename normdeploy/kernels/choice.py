"""What a kernel may choose where ONNX leaves it open, who does so, and where that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from normdeploy.dtypes import Array, is_floating
from normdeploy.kernels.emulation import Emulation
from normdeploy.kernels.number_types import NumberType, storage
from normdeploy.reference.execution_plan import OperatorCall

Squeeze = Callable[[NumberType, Array], Array]
"""(the type that a tensor is stored in, its numbers) -> what a kernel takes or leaves of them."""


@dataclass(frozen=True)
class Maker:
    """A runtime that may make a choice.

    Args:
        operators: for which.
        source: where that is written, or that nothing is written about it.
    """

    operators: frozenset[str]
    source: str


@dataclass(frozen=True, eq=False)
class KernelChoice:
    """One choice, emulated.

    Args:
        name: of the choice.
        about: what it does, in a line.
        types: of the tensors that it concerns.
        makers: runtimes by name, as in `--backend`.
        emulations: by operator; of those that are left out, only operands and results change.
        operand: what becomes of each floating operand; nothing by default.
        result: what becomes of each floating result, after it has been stored.
        where: whether it can be made for a call of one of these operators; for every one by default.
        rounds_to: a type shorter than the tensors', where whoever makes the choice has to put up with results
            that are rounded to it; None where the tensors' own type stays the measure.
    """

    name: str
    about: str
    types: frozenset[NumberType]
    makers: Mapping[str, Maker]
    emulations: Mapping[str, Emulation] = field(default_factory=dict)
    operand: Squeeze | None = None
    result: Squeeze | None = None
    where: Callable[[OperatorCall], bool] | None = None
    rounds_to: NumberType | None = None

    @property
    def operators(self) -> frozenset[str]:
        """Those that any runtime may make it for."""
        return frozenset().union(*(maker.operators for maker in self.makers.values()))

    def concerns(self, call: OperatorCall, operators: frozenset[str]) -> bool:
        """Whether it can be made for a node.

        Args:
            call: of the node.
            operators: for which it is made; none stands for all.
        """
        if operators and (call.operator.domain or call.node.op_type not in operators):
            return False
        if storage(call.node.outputs[0]) not in self.types:
            return False
        return self.where is None or self.where(call)

    def matters(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> bool:
        """Whether it can change the results of a node that it concerns.

        Args:
            call: of the node.
            arguments, results: its inputs and outputs, as they are stored.
        """
        if self.emulations:
            return True
        taken = self.operands(call, arguments)
        left = self.left(call, results)
        return any(new is not old for new, old in zip([*taken, *left], [*arguments, *results], strict=False))

    def operands(self, call: OperatorCall, arguments: Sequence[Array | None]) -> list[Array | None]:
        """What the kernel takes of a node's inputs.

        Args:
            call: of the node.
            arguments: its inputs.
        """
        if self.operand is None:
            return list(arguments)
        values = [*call.node.inputs, *[None] * len(arguments)]
        return [
            self.operand(storage(value), array) if array is not None and is_floating(array.dtype) else array
            for value, array in zip(values, arguments, strict=False)
        ]

    def left(self, call: OperatorCall, results: Sequence[Array]) -> list[Array]:
        """What the kernel leaves of a node's outputs.

        Args:
            call: of the node.
            results: its outputs, as they are stored.
        """
        if self.result is None:
            return list(results)
        return [
            self.result(storage(value), array) if is_floating(array.dtype) else array
            for value, array in zip(call.node.outputs, results, strict=False)
        ]

    def computed(
        self, call: OperatorCall, arguments: Sequence[Array | None], exact: Sequence[Array]
    ) -> Sequence[Array]:
        """A node's outputs as the kernel computes them, before they are stored.

        Args:
            call: of the node.
            arguments: its inputs, as the kernel takes them.
            exact: what float64 makes of these.
        """
        emulation = self.emulations.get(call.node.op_type)
        if emulation is None:
            return exact
        found = emulation(call, arguments, exact, storage(call.node.outputs[0]))
        return exact if found is None else found
