"""What the evaluator asks of an arithmetic other than its own, which is exact but for float64's rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from normdeploy.dtypes import Array
from normdeploy.reference.execution_plan import OperatorCall
from normdeploy.reference.rounded_numbers import StorageErrors


class InexactArithmetic(Protocol):
    """Random errors (`normdeploy.reference.rounding`), or those of certain kernels (`normdeploy.kernels`)."""

    @property
    def stored(self) -> StorageErrors:
        """The errors of numbers where they are read from the file."""
        ...

    def operands(self, call: OperatorCall, arguments: Sequence[Array | None]) -> list[Array | None]:
        """What becomes of a node's inputs before it is computed.

        Args:
            call: of the node.
            arguments: its inputs; None for those left out.
        """
        ...

    def results(
        self, call: OperatorCall, arguments: Sequence[Array | None], results: Sequence[Array]
    ) -> list[Array]:
        """What becomes of a node's outputs.

        Args:
            call: of the node.
            arguments: its inputs, as they are for `operands`.
            results: its outputs, computed in float64 from what `operands` made of these.
        """
        ...
