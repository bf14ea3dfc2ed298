"""One invariant while it is asked: what has been compared so far, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure
from normdeploy.graph.shapes import format_dims
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.invariants.result import Invariant, Name, Outcome


class Finding:
    """Gathers comparisons; the first that is wrong gives the reason.

    Args:
        name: of the invariant.
    """

    def __init__(self, name: Name) -> None:
        self._name = name
        self._compared = TensorComparison()
        self._asked = False
        self._broken = ""
        self._failure: tuple[Outcome, str] | None = None
        self._skipped = ""
        self.note = ""
        """What to say of an invariant that holds."""

    def skip(self, reason: str) -> None:
        """Say why it is not asked; the first reason counts, and only where nothing was compared."""
        self._skipped = self._skipped or reason

    def fail(self, failure: BackendFailure, what: str) -> None:
        """Note that the backend gave no answer.

        Args:
            failure: of the backend.
            what: on which inputs, such as "on a batch of 2 rows".
        """
        self._failure = self._failure or (failure.status, f"{what}: {failure.reason}")

    def fits(self, output: str, actual: Array | None, shape: Sequence[int], what: str) -> bool:
        """Whether an output is there and has the right shape; where not, the invariant is broken.

        Args:
            output: its name.
            actual: what the backend gave.
            shape: the right one.
            what: on which inputs.
        """
        if actual is not None and actual.shape == tuple(shape):
            return True
        self._asked = True
        problem = f"there is no output '{output}'"
        if actual is not None:
            dims, right = format_dims(actual.shape), format_dims(tuple(shape))
            problem = f"output '{output}' has shape {dims}, not {right}"
        self._broken = self._broken or f"{what}, {problem}"
        return False

    def add(self, output: str, comparison: TensorComparison, what: str, than: str) -> None:
        """Note a comparison.

        Args:
            output: its name.
            comparison: of two answers.
            what: which answer, such as "row 1 of a batch of equal rows".
            than: what it should be like, such as "the first".
        """
        self._asked = True
        self._compared += comparison
        if comparison.wrong and not self._broken:
            self._broken = (
                f"{what}, {comparison.wrong} of {comparison.elements} elements of output '{output}' differ "
                f"from {than}, by up to {comparison.max_abs_error:.3g}"
            )

    def result(self, backend: str) -> Invariant:
        """What became of it."""
        ratio = self._compared.noise_ratio if self._asked else None
        if self._broken:
            return Invariant(backend, self._name, "broken", self._broken, ratio)
        if self._failure is not None:
            return Invariant(backend, self._name, *self._failure, ratio)
        if not self._asked:
            return Invariant(backend, self._name, "skipped", self._skipped)
        return Invariant(backend, self._name, "pass", self.note, ratio)
